"""The progress bar of training among the others that a log holds, as tqdm draws it.

    Training Progress:   5%|▌         | 1/20 [00:01<00:33,  1.76s/it]

Source: tqdm/std.py (`format_meter`). It begins with a carriage return, so the newest has no end yet. transformers draws
one without a name, ms-swift `Train` (`ProgressCallback` of both), verl `Training Progress`, mlx-lm-lora `Training`. An
evaluation's has no name either in transformers; its total is another.
"""

import re
from typing import NamedTuple

_BAR = re.compile(
    r"^\s*(?:([^|%]{0,80}?): *)?\d{1,3}%(?:\|[^|]{0,400}\|)? *(\d{1,15})/(\d{1,15}) "
    r"\[(?:\d{1,6}:)?\d\d:\d\d<[^\]]{0,400}\]?"
)
_NAMES = frozenset({"", "train", "training", "training progress"})


class Bar(NamedTuple):
    """A bar of an unnamed task, or of training: steps done of a total."""

    step: int
    total_steps: int


def cut(text: str) -> tuple[str, Bar | None]:
    """A piece of a line without the bar that it begins with, and the bar if it may be that of training."""
    found = _BAR.match(text) if "%" in text else None
    if not found:
        return text, None
    is_training = (found[1] or "").strip().lower() in _NAMES
    return text[found.end() :], Bar(int(found[2]), int(found[3])) if is_training else None


class TrainingBar:
    """Which of the unnamed bars is that of training: the first, until a report of training comes with another."""

    def __init__(self) -> None:
        self.last: Bar | None = None

    def accept(self, bar: Bar, *, with_report: bool) -> bool:
        """Whether this is the bar of training; `with_report`: a report of training stands right before it."""
        ended = self.last is not None and self.last.step >= self.last.total_steps
        if self.last is None or self.last.total_steps == bar.total_steps or with_report or ended:
            self.last = bar
            return True
        return False
