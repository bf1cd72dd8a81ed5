"""A finding of a check: its severity, one line, and the remedy."""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """Ordered by severity; `describe` is the word that is printed."""

    OK = 0
    WARNING = 1
    FAILURE = 2

    def describe(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """`remedy` is empty if nothing is to be done."""

    level: Level
    message: str
    remedy: str = ""


def ok(message: str) -> Finding:
    return Finding(Level.OK, message)


def warning(message: str, remedy: str) -> Finding:
    return Finding(Level.WARNING, message, remedy)


def failure(message: str, remedy: str) -> Finding:
    return Finding(Level.FAILURE, message, remedy)
