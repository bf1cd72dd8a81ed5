"""What a stage itself rewards, beside the rewards of the configuration: one file each, found by being there.

A file holds one function `score(completion, row, stage, judge)`, 0 to 1 or None where it does not apply to the stage;
its name is its weight's in `stage_rewards`. `judge` gives the task's score (0 to 1) of any answer to the row.
"""

import importlib
import pkgutil
from typing import Protocol, cast

from trainer.rewards import Judge
from trainer.stages.row import Row
from trainer.stages.stage import Stage


class StageReward(Protocol):
    """What each file of this folder provides."""

    def score(self, completion: str, row: Row, stage: Stage, judge: Judge) -> float | None: ...


def discover() -> dict[str, StageReward]:
    """The rewards of this folder, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: cast(StageReward, importlib.import_module(f"{__name__}.{name}")) for name in names}
