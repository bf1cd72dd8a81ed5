"""A row of a stage's dataset: what the model is asked, and what its completion is judged by."""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.stages.published import Published, clean

# (question) -> the task's own record of a question that it knows, else None.
FindEntry = Callable[[str], Mapping[str, Any] | None]

GIVEN = "The question we were given is: "
SUGGESTED = "The following answers to this question were suggested: \n"
_STUDENT = re.compile(r"<student>(Student #\d{1,3})</student> said \n(.*?)(?=\n\n\n(?:<student>|\s*$)|\Z)", re.DOTALL)
_TAG = re.compile(r"</?[a-z_]{1,20}>")
MAX_STUDENTS = 15
COMPACT_QUOTE = 40


@dataclass(frozen=True)
class Row:
    """`prompt` is the user's text. `students` are the answers to choose from, by id; `consensus` the choice that most
    of the published judgements made; `others` how many other peers' texts the prompt holds, `quotes` these texts."""

    question: str
    answer: str
    entry: Mapping[str, Any]
    prompt: str
    stage: int = 0
    students: Mapping[str, str] = field(default_factory=dict)
    consensus: str | None = None
    others: int = 0
    quotes: tuple[str, ...] = ()

    def compact(self) -> str:
        """The prompt for a model that reads a byte per token: the question, and what was quoted without its markup."""
        texts = (" ".join(_TAG.sub(" ", text).split()) for text in self.quotes)
        return "\n".join([self.question, *(text[:COMPACT_QUOTE] for text in texts if text)])


@dataclass(frozen=True)
class Limits:
    """Bounds of a prompt: characters in all, peers quoted in it; a stranger's question may be `question_chars` long."""

    prompt_chars: int = 6000
    quoted_peers: int = 8
    question_chars: int = 2000


def claimed(question: str, answer: str) -> dict[str, Any]:
    """The record of a question that the task does not know: it is judged by the answer that its publisher claims."""
    return {"question": question, "answer": answer, "is_claimed": True}


def read_students(prompt: str) -> dict[str, str]:
    """The answers quoted in a prompt, by id."""
    return {found[1]: found[2].strip() for found in list(_STUDENT.finditer(prompt))[:MAX_STUDENTS]}


def by_question(outputs: Mapping[str, Sequence[Published]]) -> dict[str, dict[str, Published]]:
    """{question: {peer id: its output}}, in an order that all peers share."""
    grouped: dict[str, dict[str, Published]] = {}
    for peer_id in sorted(outputs):
        for output in outputs[peer_id]:
            grouped.setdefault(output.question, {})[peer_id] = output
    return dict(sorted(grouped.items()))


def make_rows(
    outputs: Mapping[str, Sequence[Published]], make: Callable[[str, dict[str, Published]], Row | None]
) -> list[Row]:
    """What `make` makes of each question: of those that others answered too, or of all where nobody else did."""
    made = (make(question, found) for question, found in by_question(outputs).items())
    rows = [row for row in made if row is not None]
    return [row for row in rows if row.others] or rows


def agreed_answer(outputs: Mapping[str, Published]) -> str:
    """The right answer that most publishers of a question claim; the smallest of several."""
    claims = sorted(output.answer for output in outputs.values())
    return max(claims, key=claims.count)


def find_truth(
    question: str, found: Mapping[str, Published], find_entry: FindEntry, limits: Limits
) -> Mapping[str, Any] | None:
    """The record that a question is judged by: the task's own, or the publishers' claim; None for one too long."""
    entry = find_entry(question)
    if entry is not None:
        return entry
    return claimed(question, agreed_answer(found)) if len(question) <= limits.question_chars else None


def quote(text: str, limit: int) -> str:
    """A peer's text within so many characters: its beginning, and its end, where choice and answer stand."""
    text = clean(text)
    if len(text) <= limit:
        return text
    head = limit // 3
    return clean(f"{text[:head]} … {text[len(text) - (limit - head - 3) :]}")


def choose_peers(outputs: Mapping[str, Published], own: str, most: int) -> list[str]:
    """Whom to quote: all, or with more than `most` the others first, as the question's hash orders them."""
    others = sorted(peer_id for peer_id in outputs if peer_id != own)
    chosen = sorted(others, key=lambda one: (hash_of(one, outputs), one))[:most]
    if own in outputs and len(chosen) < most:
        chosen.append(own)
    return sorted(chosen)


def hash_of(peer_id: str, outputs: Mapping[str, Published]) -> int:
    """A number that mixes peer and question, so that each question quotes other peers."""
    return zlib.crc32((peer_id + next(iter(outputs.values())).question).encode())
