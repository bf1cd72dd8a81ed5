"""Checks of records from the DHT, which anybody can write; pure.

Two gates. `is_readable` checks a value's bytes before hivemind decodes them: one value that does not decode would
otherwise fail the read of all peers' values under its key. The `read_*` functions then keep what has the protocol's
form, within bounds, and count what they reject by reason.
"""

import heapq
import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgpack

from trainer.protocol import is_peer_id, read_completion, read_number

MAX_VALUE_BYTES = 64 * 1024
MAX_DEPTH = 4
MAX_ITEMS = 256

# A record is written to live 4 hours. One that claims to live for years would outlast every later, valid one.
MAX_SECONDS_TO_LIVE = 24 * 3600.0

MAX_MESSAGES = 5
MAX_QUESTION = 200
MAX_ANSWER = 400

_TUPLE = 0x40  # hivemind's msgpack extension type of a tuple


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


class _TooDeep(ValueError):
    pass


def is_readable(raw: bytes) -> bool:
    """Whether `raw` is a small msgpack value of plain numbers, text, lists, tuples and maps."""
    if len(raw) > MAX_VALUE_BYTES:
        return False
    try:
        return _is_plain(_decode(raw, 0), 0)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException):
        return False


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


def _decode(raw: bytes, depth: int) -> Any:
    def decode_tuple(code: int, data: bytes) -> Any:
        if code != _TUPLE or depth >= MAX_DEPTH:
            raise _TooDeep
        return tuple(_decode(data, depth + 1))

    return msgpack.unpackb(
        raw, ext_hook=decode_tuple, raw=False, max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS, strict_map_key=True
    )


def _is_plain(value: object, depth: int) -> bool:
    if value is None or isinstance(value, bool | int | str):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if depth >= MAX_DEPTH:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item, depth + 1) for key, item in value.items())
    return isinstance(value, list | tuple) and all(_is_plain(item, depth + 1) for item in value)
