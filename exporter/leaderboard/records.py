"""Checks of records from the DHT, which anybody can write; pure.

Two gates. `trainer.readable` checks a value's bytes before hivemind decodes them. The `read_*` functions here then keep
what has the protocol's form, within bounds, and count what they reject by reason.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

from trainer.protocol import is_peer_id, read_completion, read_number

# A record is written to live 4 hours. One that claims to live for years would outlast every later, valid one.
MAX_SECONDS_TO_LIVE = 24 * 3600.0

MAX_MESSAGES = 5
MAX_QUESTION = 200
MAX_ANSWER = 400


class Entry(NamedTuple):
    """One peer's reward sum in a stage; `stamp` is the record's expiry, which grows with each write."""

    value: float
    stamp: float


class Rewards(NamedTuple):
    """The accepted rewards of one stage, and how many records were rejected, by reason."""

    entries: dict[str, Entry]
    rejected: dict[str, int]


class Message(NamedTuple):
    """One question that a peer answered, cut to a length that can be shown."""

    subkey: str
    at: float
    question: str
    answer: str


def read_rewards(
    found: object, *, now: float, limit: float, most: int, ours: Collection[str] = frozenset()
) -> Rewards | None:
    """The rewards of one stage from {subkey: (value, expiry)}; None where the key held nothing.

    At most `most` entries stay, the highest, and those of the peers in `ours`.
    """
    if found is None:
        return None
    rejected: Counter[str] = Counter()
    entries: dict[str, Entry] = {}
    if not isinstance(found, Mapping):
        return Rewards(entries, {"form": 1})
    for peer_id, record in found.items():
        reason, entry = _read_entry(peer_id, record, now, limit)
        if entry is None:
            rejected[reason] += 1
        else:
            entries[peer_id] = entry
    if len(entries) > most:
        kept = set(heapq.nlargest(most, entries, key=lambda peer_id: (entries[peer_id].value, peer_id))).union(ours)
        rejected["crowd"] = sum(peer_id not in kept for peer_id in entries)
        entries = {peer_id: entry for peer_id, entry in entries.items() if peer_id in kept}
    return Rewards(entries, dict(rejected))


def read_messages(found: object, peer_id: str, *, now: float) -> list[Message]:
    """The newest answers of a peer in a stage, from {subkey: ((unix time, {question, completions…}), expiry)}."""
    if not isinstance(found, Mapping):
        return []
    messages = [_read_message(subkey, record, peer_id, now) for subkey, record in found.items()]
    return heapq.nlargest(MAX_MESSAGES, [message for message in messages if message is not None], key=lambda m: m.at)


def _read_entry(peer_id: object, record: object, now: float, limit: float) -> tuple[str, Entry | None]:
    if not is_peer_id(peer_id):
        return "peer_id", None
    if not isinstance(record, tuple) or len(record) != 2:
        return "form", None
    value = read_number(record[0], limit=limit)
    if value is None:
        return "reward", None
    stamp = read_number(record[1], limit=now + MAX_SECONDS_TO_LIVE)
    return ("expiry", None) if stamp is None else ("", Entry(value, stamp))


def _read_message(subkey: object, record: object, peer_id: str, now: float) -> Message | None:
    if not isinstance(subkey, str) or len(subkey) > 64 or not isinstance(record, tuple) or len(record) != 2:
        return None
    value = record[0]
    if not isinstance(value, list | tuple) or len(value) != 2 or not isinstance(value[1], Mapping):
        return None
    at = read_number(value[0], limit=now + MAX_SECONDS_TO_LIVE)
    question = value[1].get("question")
    if at is None or not isinstance(question, str):
        return None
    completion = read_completion(value[1], peer_id) or ""
    return Message(subkey, at, question[:MAX_QUESTION], completion[:MAX_ANSWER])
