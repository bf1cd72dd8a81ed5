"""A run's `.wandb` file of Weights & Biases, offline or online, read as it grows.

A log of LevelDB (https://github.com/google/leveldb/blob/main/doc/log_format.md) with a header of its own, holding
Record messages (https://github.com/wandb/wandb/blob/main/wandb/proto/wandb_internal.proto).
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from exporter.progress._growing_files import FileFinder, GrowingFile
from exporter.progress._tracked_runs import MAX_NAME, MAX_VALUES, Calls, NewestRun, to_number, to_step
from exporter.progress.options import Options
from exporter.progress.printed_settings import TRACKED, translate_tracked
from exporter.progress.record import ReadError, Record
from exporter.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    from_zigzag,
    read_fields,
    to_double,
    to_signed,
    to_text,
)

# What is read in one call; of a file that has grown by more, only the end is of interest. A whole number of blocks.
MAX_BYTES = 1 << 20
BLOCK_BYTES = 32768

# A run's configuration stands at the begin of its file.
HEAD_BYTES = 4 * BLOCK_BYTES

_FILE_HEADER = struct.Struct("<4sHB")
_MAGIC = (b":W&B", 0xBEE1)
_CHUNK = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_NUMBER_BYTES = 64


class Reader:
    """Follows the run that was begun last: `path` is a `.wandb` file, or any folder above."""

    is_live: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        self._finder = FileFinder(path, lambda name: name.endswith(".wandb"), "run of wandb (run-….wandb)")
        self._newest = NewestRun("name one file with `path:`")
        self._following: _RunFile | None = None

    @classmethod
    def configured(cls, options: Mapping[str, Any], folder: Path) -> Self:
        """Option: `path`. Raises ValueError."""
        return cls(Options(options, ("path",)).path("path", folder, example="wandb"))

    @property
    def settings(self) -> Mapping[str, object]:
        """What the run was set up with, as far as its configuration tells."""
        return translate_tracked(self._following.configuration) if self._following else {}

    def read(self, now: float) -> Sequence[Record]:
        """What was written since the last call, at most the last MiB. Raises ReadError."""
        written = self._finder.find(now)
        run = self._newest.choose({str(path): at for path, at in written.items()}, now)
        if run is None:
            return []
        if self._following is None or self._following.path != Path(run):
            self._following = _RunFile(Path(run))
        return self._following.read()


class _RunFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = GrowingFile(path)
        self._messages = Messages(0)
        self._calls = Calls()
        self.configuration: dict[str, object] = {}

    def read(self) -> list[Record]:
        with self._file.opened() as file:
            messages = self._take(file)
        for message in messages:
            self.configuration |= read_configuration(message)
        return [record for one in messages if (record := read_history(one, self._calls)) is not None]

    def _take(self, file: GrowingFile) -> list[bytes]:
        if file.is_other:
            self._messages, self._calls = Messages(0), Calls()
            header = file.read(0, _FILE_HEADER.size)
            if len(header) == _FILE_HEADER.size and _FILE_HEADER.unpack(header)[:2] != _MAGIC:
                raise ReadError(f"{self.path}: not a run file of wandb")
            self.configuration = {}
        if file.size - self._messages.place > MAX_BYTES:
            if not self._messages.place:
                for message in Messages(0).take(file.read(0, HEAD_BYTES)):
                    self.configuration |= read_configuration(message)
            self._messages = Messages((file.size - MAX_BYTES) // BLOCK_BYTES * BLOCK_BYTES)
        if file.size == self._messages.place:
            return []
        messages = self._messages.take(file.read(self._messages.place, MAX_BYTES + BLOCK_BYTES))
        file.reach(self._messages.place)
        return messages


class Messages:
    """Puts the messages of a log together: it is in blocks of 32 KiB, and a message may span several."""

    def __init__(self, place: int) -> None:
        """`place` is where in the file to begin: a multiple of `BLOCK_BYTES`."""
        self.place = place
        self._parts: list[bytes] | None = None

    def take(self, content: bytes) -> list[bytes]:
        """The whole messages in what the file has at `place`, which moves on. What is broken costs its block."""
        found: list[bytes] = []
        done = 0
        while True:
            left = BLOCK_BYTES - (self.place + done) % BLOCK_BYTES
            if self.place + done == 0:
                skipped = _FILE_HEADER.size
            elif left < _CHUNK.size:
                skipped = left
            else:
                if len(content) - done < _CHUNK.size:
                    break
                checksum, length, kind = _CHUNK.unpack_from(content, done)
                if _CHUNK.size + length <= left and kind in (_FULL, _FIRST, _MIDDLE, _LAST):
                    end = done + _CHUNK.size + length
                    if end > len(content):
                        break
                    data = content[done + _CHUNK.size : end]
                    if checksum == zlib.crc32(data, zlib.crc32(bytes((kind,)))):
                        self._put(kind, data, found)
                        done = end
                        continue
                self._parts = None
                skipped = left
            if len(content) - done < skipped:
                break
            done += skipped
        self.place += done
        return found

    def _put(self, kind: int, data: bytes, found: list[bytes]) -> None:
        if kind == _FULL:
            found.append(data)
            self._parts = None
        elif kind == _FIRST:
            self._parts = [data]
        elif self._parts is not None:
            self._parts.append(data)
            if kind == _LAST:
                found.append(b"".join(self._parts))
            if kind == _LAST or len(self._parts) * BLOCK_BYTES > MAX_BYTES:
                self._parts = None


class _Item(NamedTuple):
    name: str
    value: object


def read_history(message: bytes, calls: Calls) -> Record | None:
    """The record of one call of `wandb.log`; None for any other message, and for one that is not well formed."""
    try:
        for number, wire, value in read_fields(message):
            if (number, wire) == (2, BYTES):
                return _read_history(value, calls)
    except ValueError:
        pass
    return None


def read_configuration(message: bytes) -> dict[str, object]:
    """The settings in an update of the run's configuration; none in any other message. Nothing else of it is kept."""
    found = {}
    try:
        for number, wire, value in read_fields(message):
            if (number, wire) != (5, BYTES):
                continue
            for field, form, part in read_fields(value):
                if (field, form) == (1, BYTES):
                    item = _read_item(part)
                    if item.name in TRACKED:
                        found[item.name] = item.value
    except ValueError:
        pass
    return found


def _read_history(message: memoryview, calls: Calls) -> Record | None:
    reported: dict[str, object] = {}
    counted: int | None = None
    for number, wire, value in read_fields(message):
        if (number, wire) == (1, BYTES) and len(reported) < 2 * MAX_VALUES:
            item = _read_item(value)
            reported[item.name] = item.value
        elif (number, wire) == (2, BYTES):
            counted = next(
                (to_signed(n) for field, form, n in read_fields(value) if (field, form) == (1, VARINT)), None
            )
    if counted is None:
        counted = to_step(to_number(reported.get("_step")))
    return calls.to_record(reported, counted=to_step(counted), at=to_number(reported.get("_timestamp")))


def _read_item(message: memoryview) -> _Item:
    """The name is a key, or its path in nested dictionaries; the value is JSON, or in newer versions has a type."""
    name = ""
    nested: list[str] = []
    result: object = None
    for number, wire, value in read_fields(message):
        if (number, wire) == (1, BYTES):
            name = to_text(value, MAX_NAME + 1)
        elif (number, wire) == (2, BYTES):
            nested.append(to_text(value, MAX_NAME + 1))
        elif (number, wire) == (5, VARINT):
            result = from_zigzag(value)
        elif (number, wire) == (6, FIXED64):
            result = to_double(value)
        elif (number, wire) == (16, BYTES) and len(value) <= _NUMBER_BYTES:
            result = _read_json(value)
    return _Item(name or ".".join(nested), result)


def _read_json(text: memoryview) -> object:
    try:
        return json.loads(bytes(text))
    except (ValueError, RecursionError):
        return None
