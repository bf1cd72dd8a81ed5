"""Built-in rewards: one file each, whose name is the reward's name in the configuration and in the logs.

A file holds one function `score(completion, answer, judge)`: the model's completion, the task's answer, and `judge`,
which returns the task's score (0 to 1) of any answer. It returns a float, larger is better.
"""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Protocol, cast

Judge = Callable[[str], float]


class Reward(Protocol):
    """What each file of this folder provides."""

    def score(self, completion: str, answer: str, judge: Judge) -> float: ...


def discover() -> dict[str, Reward]:
    """The rewards of this folder, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: cast(Reward, importlib.import_module(f"{__name__}.{name}")) for name in names}
