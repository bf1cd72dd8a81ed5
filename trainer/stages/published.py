"""What other peers published in a stage, bounded and cleaned: anybody can write anything there; pure."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

from trainer.protocol import prompt_name, read_completion, read_number

MAX_QUESTIONS_PER_PEER = 16
MAX_TEXT = 2000
MAX_PROMPT = 12_000
# A record with more subkeys than this is not looked through to its end.
MAX_RECORDS = 256

# Markers by which chat templates tell the speakers apart: in the text of another peer they would speak for the user.
_CHAT_MARKERS = re.compile(
    r"<\|[^|<>\n]{0,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>", re.IGNORECASE
)
# What separates the peers in a prompt: in the text of one of them it would invent others.
_STRUCTURE = re.compile(
    r"</?(?:student|criticism)>|The question we were given is:|The following answers to this question were suggested:"
    r"|After comparing these answers, the following feedback was given about which answer is best:",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


class Published(NamedTuple):
    """One question that a peer answered in a stage: the right answer that it claims, its completion, and its prompt,
    which is empty in stage 0."""

    question: str
    answer: str
    completion: str
    prompt: str = ""


class Read(NamedTuple):
    """The outputs of one peer in one stage, the newest first, and the subkeys of those that were malformed."""

    outputs: tuple[Published, ...]
    malformed: frozenset[str]


def read_published(found: object, peer_id: str, stage: int) -> Read:
    """The outputs under `rl_swarm_outputs_…`, {subkey: (unix seconds, record)}; nothing raises."""
    if not isinstance(found, Mapping):
        return Read((), frozenset() if found is None else frozenset([""]))
    good: list[tuple[float, Published]] = []
    malformed: set[str] = set()
    for number, (subkey, value) in enumerate(found.items()):
        if number >= MAX_RECORDS:
            break
        read = _read(value, peer_id, stage)
        if read is None:
            malformed.add(str(subkey)[:64])
        else:
            good.append(read)
    good.sort(key=lambda one: one[0], reverse=True)
    newest: dict[str, Published] = {}
    for _, output in good:
        newest.setdefault(output.question, output)
    return Read(tuple(newest.values())[:MAX_QUESTIONS_PER_PEER], frozenset(malformed))


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """A peer's text as a part of a prompt: no control characters, no speakers, at most `limit` characters."""
    # What a removal joins is removed too; each turn shortens the text.
    text = _CONTROL.sub("", text[: 2 * limit])
    while (shorter := _STRUCTURE.sub("", _CHAT_MARKERS.sub("", text))) != text:
        text = shorter
    return text[:limit].strip()


def _read(value: object, peer_id: str, stage: int) -> tuple[float, Published] | None:
    if not isinstance(value, list | tuple) or len(value) != 2 or not isinstance(value[1], Mapping):
        return None
    at, record = read_number(value[0], limit=1e12), value[1]
    question, answer = record.get("question"), record.get("answer")
    completion = read_completion(record, peer_id, stage)
    if at is None or not _is_text(question) or not isinstance(answer, str) or completion is None:
        return None
    prompt = _prompt(record, stage)
    if prompt is None or len(question) > MAX_TEXT or len(answer) > MAX_TEXT:
        return None
    kept = clean(question)
    return (at, Published(kept, clean(answer), clean(completion), prompt)) if kept else None


def _prompt(record: Mapping[Any, Any], stage: int) -> str | None:
    name = prompt_name(stage)
    if name is None:
        return ""
    prompt = record.get(name)
    if not _is_text(prompt) or len(prompt) > MAX_PROMPT:
        return None
    return _CHAT_MARKERS.sub("", _CONTROL.sub("", prompt))


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())
