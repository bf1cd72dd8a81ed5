"""What a check of the doctor says: one line, its weight, and what to do about it."""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """By weight; `describe` is the word on the screen."""

    OK = 0
    WARNING = 1
    FAILURE = 2

    def describe(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """`remedy` is empty where nothing is to be done."""

    level: Level
    message: str
    remedy: str = ""


def ok(message: str) -> Finding:
    return Finding(Level.OK, message)


def warning(message: str, remedy: str) -> Finding:
    return Finding(Level.WARNING, message, remedy)


def failure(message: str, remedy: str) -> Finding:
    return Finding(Level.FAILURE, message, remedy)
