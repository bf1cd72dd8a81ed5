"""The rows that the model is trained on next: the task's questions, or what other peers published of them."""

import zlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from trainer.protocol import RoundAndStage
from trainer.stages.order import source_of, stage_at
from trainer.stages.published import MAX_QUESTIONS_PER_PEER, Published, clean
from trainer.stages.row import GIVEN, Limits, Row
from trainer.tasks.task import Entry, Task

# Questions of the task that others' outputs are recognised by: those of some rounds.
KNOWN_QUESTIONS = 1024
KEPT_PLACES = 4


class Others(Protocol):
    """The outputs of other peers that were read so far."""

    version: int

    def outputs(self, at: RoundAndStage) -> Mapping[str, tuple[Published, ...]]: ...


class Nobody:
    """No other peers."""

    version = 0

    def outputs(self, at: RoundAndStage) -> Mapping[str, tuple[Published, ...]]:
        return {}


class StageRows:
    """Rows of the stage that was entered last; used by the training thread."""

    def __init__(
        self,
        task: Task,
        *,
        peer_id: str,
        others: Others,
        limits: Limits,
        questions_per_step: int,
        steps_per_stage: int,
        is_chat: bool,
        is_instructed: bool,
        is_compact: bool = False,
    ) -> None:
        self._task, self._peer_id, self._others, self._limits = task, peer_id, others, limits
        self._per_step, self._per_stage = questions_per_step, questions_per_step * steps_per_stage
        self._is_chat, self._is_instructed, self._is_compact = is_chat, is_instructed, is_compact
        self.at, self._taken = RoundAndStage(0, 0), 0
        self._known: OrderedDict[str, Entry] = OrderedDict()
        self._own: dict[RoundAndStage, list[Published]] = {}
        self._built: tuple[tuple[RoundAndStage, int, int], list[Row]] | None = None

    def enter(self, at: RoundAndStage, steps: int = 0) -> None:
        """Begins a stage, or goes on with one of which so many steps are done."""
        self.at, self._taken = at, steps * self._per_step

    def remember(self, at: RoundAndStage, output: Published) -> None:
        """Keeps an output of our own that was published."""
        kept = self._own.setdefault(at, [])
        kept.append(output._replace(question=clean(output.question)))
        del kept[:-MAX_QUESTIONS_PER_PEER]
        while len(self._own) > KEPT_PLACES:
            del self._own[min(self._own)]

    @property
    def is_alone(self) -> bool:
        """Whether the stage is made from others' outputs, and there are none."""
        source = source_of(self.at)
        return source is not None and not any(row.others for row in self._rows(source))

    def take(self, count: int) -> list[dict[str, Any]]:
        """The next rows as TRL takes them: prompt, question, answer, entry, and the `row` itself."""
        return [self._as_input(self._next()) for _ in range(count)]

    def _next(self) -> Row:
        source = source_of(self.at)
        rows = self._rows(source) if source else []
        number = self._taken
        self._taken += 1
        return rows[number % len(rows)] if rows else self._own_question(number)

    def _own_question(self, number: int) -> Row:
        # All peers of a swarm answer the same questions: only then there is something to compare.
        entry = self._entry(self.at.round, number)
        question = str(entry["question"])
        prompt = f"{GIVEN}{question}  \n\n" if self.at.stage else question
        return Row(question, str(entry["answer"]), entry, prompt, stage_at(self.at.stage).number)

    def _entry(self, round_number: int, number: int) -> Entry:
        entry = self._task.entry(round_number * self._per_stage + number)
        # As others' outputs are read.
        question = clean(str(entry["question"]))
        self._known[question] = entry
        self._known.move_to_end(question)
        while len(self._known) > KNOWN_QUESTIONS:
            self._known.popitem(last=False)
        return entry

    def _rows(self, source: RoundAndStage) -> list[Row]:
        own = self._own.get(source, [])
        mark = self.at, self._others.version, len(own)
        if self._built is None or self._built[0] != mark:
            outputs = dict(self._others.outputs(source))
            if own:
                outputs[self._peer_id] = tuple(own)
            build = stage_at(self.at.stage).build
            assert build is not None
            self._built = mark, sorted(build(outputs, self._peer_id, self._find, self._limits), key=self._turn)
        return self._built[1]

    def _turn(self, row: Row) -> tuple[int, str]:
        """All peers take the questions in the same order, another one in each round: judgements then meet."""
        return zlib.crc32(f"{self.at.round} {row.question}".encode()), row.question

    def _find(self, question: str) -> Entry | None:
        return self._known.get(question)

    def _as_input(self, row: Row) -> dict[str, Any]:
        prompt: Any = row.prompt
        if self._is_compact:
            prompt = row.compact()
        if self._is_chat:
            prompt = [{"role": "user", "content": row.prompt}]
        if self._is_chat and self._is_instructed:
            prompt.insert(0, {"role": "system", "content": stage_at(row.stage).instruction})
        return {"prompt": prompt, "question": row.question, "answer": row.answer, "entry": row.entry, "row": row}
