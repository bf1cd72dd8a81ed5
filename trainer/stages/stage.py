"""What a stage is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trainer.stages.published import Published
from trainer.stages.row import FindEntry, Limits, Row

Outputs = Mapping[str, Sequence[Published]]
# (outputs of the stage before, by peer id; the own peer id; the task's record of a question; bounds)
BuildRows = Callable[[Outputs, str, FindEntry, Limits], list[Row]]


@dataclass(frozen=True)
class Stage:
    """`tags` are those of a completion, in their order; `choice_tag` the one that names the best answer.

    `build` makes the rows from what was published in the stage before; None: the task's own questions. `publish` gives
    a completion the tags that readers need.
    """

    number: int
    tags: tuple[str, ...]
    choice_tag: str | None
    instruction: str
    publish: Callable[[str], str]
    build: BuildRows | None = None
