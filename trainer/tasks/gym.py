"""Tasks of reasoning-gym, by the name of its dataset; the only importer of reasoning_gym in the trainer."""

import importlib
import sys
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """A module that is imported once something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        # Python and its tools ask every module for these.
        if name.startswith("__"):
            raise AttributeError(name)
        del sys.modules[self.__name__]
        self.__dict__.update(vars(importlib.import_module(self.__name__)))
        return self.__dict__[name]


# Two of a hundred datasets use it, and it imports matplotlib: half a second and 25 MiB of each trainer.
sys.modules.setdefault("cellpylib", _Deferred("cellpylib"))

import reasoning_gym  # noqa: E402
from reasoning_gym.factory import DATASETS  # noqa: E402

from trainer.tasks.task import Entry  # noqa: E402

# Questions before they repeat. Each is generated on access, so a large number costs nothing.
QUESTIONS = 100_000


def names() -> list[str]:
    """The names of all datasets."""
    return sorted(DATASETS)


class GymSource:
    """Questions of one dataset. The same options give all peers the same questions."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        """Raises ValueError with one line for the user."""
        try:
            self._dataset: Any = reasoning_gym.create_dataset(name, **{"seed": 0, "size": QUESTIONS, **options})
        except (TypeError, ValueError, AssertionError, AttributeError, LookupError) as error:
            raise ValueError(f"task_options: rejected by {name}: {error}") from error

    def entry(self, number: int) -> Entry:
        entry: Entry = self._dataset[number % len(self._dataset)]
        return entry

    def score(self, entry: Entry, answer: str) -> float:
        try:
            return float(self._dataset.score_answer(answer=answer, entry=entry))
        except Exception:  # noqa: BLE001 some datasets parse an answer without expecting that it is none
            return 0.0
