"""What rl-swarm logs: rounds and stages, what it does between them, and in 0.4 the dictionaries of TRL.

    … - 📈 Training round: 0 stage: 1                         0.4, which has reports of steps too
    … - [PRINT] {'loss': 0.0101, 'reward': 0.25, 'epoch': 0.16}
    … - Starting round: 12/1000000.                           0.5 and later: a round is the only progress
    … - Already finished round: 11. Next check in 300.0s.

Sources: hivemind_exp/trainer/hivemind_grpo_trainer.py (0.4), rgym_exp/src/manager.py and code_gen_exp/src/manager.py
(0.5 to 0.7), genrl/game/game_manager.py. A trainer that waits for the swarm's next round repeats the last of these
lines, at least every 15 minutes; it tells the swarm's round, which the trainer has behind it.
"""

import re
from collections.abc import Iterable

from exporter.progress.formats import Printed
from exporter.progress.formats.transformers import Format as Dictionaries
from exporter.progress.names import without_evaluation

_ROUND = re.compile(r"\b(?:Starting|Joining) round: (\d{1,15})(?![\d,:])(?! starting at stage)")
_STAGE = re.compile(r"\b(?:Joining|Training) round: (\d{1,15}) (?:starting at )?stage: (\d{1,3})(?!\d)")
# Of a message, behind what the logger puts before it.
_BEGIN = r"(?:^|[:\]-] ?)"
_PHASES = (
    ("waiting", re.compile(r"\bAlready finished round: \d{1,15}\. (?:Next check in \d|Skipping)")),
    ("saving", re.compile(_BEGIN + r"Saving model$")),
    ("training", re.compile(_BEGIN + r"Model saved to \S")),
)
# 0.4 logs its configuration at each start; its reports carry no step.
_STEPS_PER_REPORT = re.compile(r"^logging_steps=(\d{1,6})(?:\.0)?,$")
_CAPTURED = "[PRINT] {"


class Format:
    markers: tuple[bytes, ...] | None = (
        *(b" round: ", b"[PRINT] {", b"Saving model", b"Model saved to ", b"logging_steps="),
    )

    def __init__(self) -> None:
        self._dictionaries = Dictionaries()
        self._has_stages = False
        self._steps_per_report: int | None = None
        self._step = 0

    def is_open(self) -> bool:
        return False

    def parse(self, line: str) -> Iterable[Printed]:
        if _CAPTURED in line or (self._has_stages and "{" in line):
            return [self._count(report) for report in self._dictionaries.parse(line)]
        if found := _STAGE.search(line):
            self._has_stages = True
            return (Printed({}, phase="training", round=int(found[1]), stage=int(found[2])),)
        if found := _ROUND.search(line):
            number = int(found[1])
            return (Printed({}, number, unit="round", phase="training", round=number),)
        if found := _STEPS_PER_REPORT.match(line):
            self._steps_per_report, self._step = int(found[1]), 0
            return ()
        return [Printed({}, phase=phase) for phase, pattern in _PHASES if pattern.search(line)][:1]

    def _count(self, report: Printed) -> Printed:
        """The report with its step, where the configuration tells how many lie between two."""
        if not self._steps_per_report or report.step is not None or not without_evaluation(report.values):
            return report
        self._step += self._steps_per_report
        return report._replace(step=self._step)
