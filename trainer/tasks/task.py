"""What a task is, and how an answer is judged by a given one."""

import re
from collections.abc import Mapping
from typing import Any, Protocol

Entry = Mapping[str, Any]

_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")


class Source(Protocol):
    """Numbered questions with their right answers."""

    def entry(self, number: int) -> Entry:
        """The record of a question, with `question` and `answer`; numbers beyond the last begin again."""
        ...

    def score(self, entry: Entry, answer: str) -> float:
        """0 to 1 for an answer to a question of this source."""
        ...


class Task:
    """A source of questions; judges answers to its own questions and to those of other peers."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def entry(self, number: int) -> Entry:
        """The record of a question: `question`, `answer`, and what the source itself needs."""
        return self.source.entry(number)

    def judge(self, entry: Entry, answer: str) -> float:
        """The score, 0 to 1, of an answer to the question of this record."""
        if entry.get("is_claimed"):
            return score_by_answer(str(entry["answer"]), answer)
        return float(self.source.score(entry, answer))


def score_by_answer(right: str, answer: str) -> float:
    """1 for the right answer: the same text but for case and spaces, or the same number as the last one in it."""
    if _folded(right) == _folded(answer):
        return 1.0
    wanted, found = _number(right), _numbers(answer)
    return float(wanted is not None and bool(found) and found[-1] == wanted)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _number(text: str) -> float | None:
    numbers = _numbers(text)
    is_one = len(numbers) == 1 and not re.search(r"[^\W\d_]", text)
    return numbers[0] if is_one else None


def _numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in _NUMBER.findall(text[-2000:])]
