"""TensorBoard's event files, read as they grow: TFRecord frames around Event messages with scalars.

https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto, and summary.proto beside it.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from exporter.progress._growing_files import FileFinder, GrowingFile
from exporter.progress._tracked_runs import MAX_NAME, MAX_VALUES, NewestRun, to_step, to_time
from exporter.progress.names import without_evaluation
from exporter.progress.options import Options
from exporter.progress.record import Record
from exporter.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    read_fields,
    to_double,
    to_float,
    to_signed,
    to_text,
)

# What is read in one call; of a file that has grown by more, only the end is of interest.
MAX_BYTES = 1 << 20
# Files that one process writes, such as one for evaluations.
MAX_FILES = 4
_PARTS_OF_RUN = ("eval", "test", "train", "val", "validation")
# events.out.tfevents.TIME.HOST.PID.NUMBER, and .v2 behind it.
_WRITER = re.compile(r"\.tfevents\.\d+\.(.+?\.\d+)(?:\.\d+)?(?:\.v2)?$")
# An event with a scalar is far smaller; pictures and histograms are not looked at.
_MAX_EVENT_BYTES = 1 << 16

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_FRAME_BYTES = _HEADER.size + _CHECKSUM.size
# Where a frame may begin: a length below 16 MiB that is not zero. A disk that was cut off has zeros.
_POSSIBLE = re.compile(rb"(?!\0\0\0)(?=((?s:...))\0{5}((?s:....)))")

# Tensor types with one number, and how it is packed: TensorFlow 2 writes scalars so.
_PACKED = {1: "<f", 2: "<d", 3: "<i", 9: "<q", 19: "<e"}
_FIELD_OF_VALUES = {5: "<f", 6: "<d"}


class Scalar(NamedTuple):
    """One number of an event file."""

    tag: str
    step: int | None
    at: float | None
    value: float


class Reader:
    """Follows the trainer that began to write last: `path` is an event file, or any folder above."""

    is_live: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        self._finder = FileFinder(path, lambda name: ".tfevents." in name, "event file (events.out.tfevents.…)")
        self._newest = NewestRun("name the folder or file of one with `path:`")
        self._known: dict[Path, _EventFile] = {}

    @classmethod
    def configured(cls, options: Mapping[str, Any], folder: Path) -> Self:
        """Option: `path`. Raises ValueError."""
        return cls(Options(options, ("path",)).path("path", folder, example="outputs/runs"))

    def read(self, now: float) -> Sequence[Record]:
        """What was written since the last call, at most the last MiB of each file. Raises ReadError."""
        written = self._finder.find(now)
        runs: dict[str, float] = {}
        for path, at in written.items():
            runs[name_run(path)] = max(at, runs.get(name_run(path), 0.0))
        run = self._newest.choose(runs, now)
        files = [path for path in written if name_run(path) == run]
        newest = sorted(files, key=lambda path: (written[path], path.name))[-MAX_FILES:]
        # The others may be written again, and are not read from their begin then.
        self._known = {path: self._known.get(path) or _EventFile(path) for path in files}
        scalars = [scalar for path in newest for scalar in self._known[path].read()]
        return [
            record._replace(values=values)
            for record in group_by_step(scalars)
            # The epoch is written with each report, a part of one included.
            if (values := without_evaluation(record.values)).keys() - {"epoch", "train/epoch"}
        ]


def name_run(path: Path) -> str:
    """What the files of one writer have in common: its folder, without parts such as `train`, its host and its pid.

    A writer may keep parts in folders below its own, whose files are of the same process.
    """
    written_by = _WRITER.search(path.name)
    if written_by is None:
        return str(path)
    return f"{path.parent.parent if path.parent.name in _PARTS_OF_RUN else path.parent} {written_by[1]}"


class _EventFile:
    def __init__(self, path: Path) -> None:
        self._file = GrowingFile(path)
        self._place = 0

    def read(self) -> list[Scalar]:
        with self._file.opened() as file:
            if file.is_other:
                self._place = 0
            is_lost = file.size - self._place > MAX_BYTES
            if is_lost:
                self._place = file.size - MAX_BYTES
            if file.size == self._place:
                return []
            scalars, used = parse(file.read(self._place, MAX_BYTES), is_lost=is_lost)
            self._place += used
            file.reach(self._place)
            return scalars


def parse(content: bytes, *, is_lost: bool = False) -> tuple[list[Scalar], int]:
    """The scalars in whole frames, and how many bytes those are. `is_lost` says that no frame needs to begin here.

    What is broken is passed over, up to the next frame whose length has the right checksum.
    """
    scalars: list[Scalar] = []
    place = _find_frame(content, 0) if is_lost else 0
    while len(content) - place >= _HEADER.size:
        length, checksum = _HEADER.unpack_from(content, place)
        if checksum != mask_crc32c(content[place : place + 8]):
            place = _find_frame(content, place + 1)
            continue
        begin = place + _HEADER.size
        end = begin + length
        if end + _CHECKSUM.size > len(content):
            # Not written to its end yet, or too large to be waited for.
            return scalars, place if length + _FRAME_BYTES <= MAX_BYTES else len(content)
        if length <= _MAX_EVENT_BYTES:
            scalars += _read_if_whole(content[begin:end], _CHECKSUM.unpack_from(content, end)[0])
        place = end + _CHECKSUM.size
    return scalars, place


def _find_frame(content: bytes, place: int) -> int:
    """Where the next frame begins; near the end, which may hold the begin of one, if there is none."""
    for found in _POSSIBLE.finditer(content, place):
        low, middle, high = found[1]
        crc = _LOW[low] ^ _MIDDLE[middle] ^ _HIGH[high]
        if found[2] == _CHECKSUM.pack(_mask(crc)):
            return found.start()
    return max(place, len(content) - _HEADER.size + 1)


def _read_if_whole(event: bytes, checksum: int) -> list[Scalar]:
    try:
        scalars = read_event(event)
    except ValueError:
        return []
    # The checksum costs more than the rest: only what counts is checked.
    return scalars if scalars and checksum == mask_crc32c(event) else []


def read_event(event: bytes) -> list[Scalar]:
    """The scalars of an Event message. Raises ValueError where it is not well formed."""
    at: float | None = None
    step = 0
    summaries = []
    for number, wire, value in read_fields(event):
        if (number, wire) == (1, FIXED64):
            at = to_double(value)
        elif (number, wire) == (2, VARINT):
            step = to_signed(value)
        elif (number, wire) == (5, BYTES):
            summaries.append(value)
    found: list[Scalar] = []
    for summary in summaries:
        for number, wire, value in read_fields(summary):
            if (number, wire) == (1, BYTES) and len(found) < MAX_VALUES:
                tag, scalar = _read_value(value)
                if tag and scalar is not None:
                    found.append(Scalar(tag, to_step(step), to_time(at), scalar))
    return found


def _read_value(message: memoryview) -> tuple[str, float | None]:
    tag, scalar = "", None
    for number, wire, value in read_fields(message):
        if (number, wire) == (1, BYTES) and len(value) <= MAX_NAME:
            tag = to_text(value, MAX_NAME)
        elif (number, wire) == (2, FIXED32):
            scalar = to_float(value)
        elif (number, wire) == (8, BYTES):
            scalar = _read_tensor(value)
    return tag, scalar


def _read_tensor(message: memoryview) -> float | None:
    """The number of a tensor that holds one; None for any other."""
    kind, content, numbers = 0, None, None
    for number, wire, value in read_fields(message):
        if (number, wire) == (1, VARINT):
            kind = int(value)
        elif (number, wire) == (4, BYTES):
            content = value
        elif number in _FIELD_OF_VALUES and wire in (BYTES, FIXED32, FIXED64):
            numbers = number, value
    if numbers is not None:
        return _unpack_one(_FIELD_OF_VALUES[numbers[0]], numbers[1])
    return _unpack_one(_PACKED[kind], content) if content is not None and kind in _PACKED else None


def _unpack_one(form: str, content: memoryview) -> float | None:
    return float(struct.unpack(form, content)[0]) if len(content) == struct.calcsize(form) else None


def group_by_step(scalars: Sequence[Scalar]) -> Iterator[Record]:
    """One record for the scalars that follow each other with one step, until a tag comes again.

    An evaluation or a summary of the run may follow at the same step: it is a record of its own.
    """
    values: dict[str, float] = {}
    last: Scalar | None = None
    is_training = True
    for one in scalars:
        is_told_apart = is_training and not without_evaluation({one.tag: one.value})
        if last is not None and (one.step != last.step or one.tag in values or is_told_apart):
            yield Record(values, step=last.step, at=last.at)
            values = {}
        is_training = bool(without_evaluation({one.tag: one.value})) if not values else is_training
        values[one.tag] = one.value
        last = one
    if last is not None:
        yield Record(values, step=last.step, at=last.at)


def _make_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_TABLE = _make_table()


def mask_crc32c(data: bytes) -> int:
    """The masked checksum of a TFRecord: https://www.tensorflow.org/tutorials/load_data/tfrecord."""
    return _mask(_crc32c(data))


def _crc32c(data: bytes) -> int:
    crc = 0xFFFF_FFFF
    table = _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFF_FFFF


def _mask(crc: int) -> int:
    return (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFF_FFFF


# A checksum is a sum of those of its parts: of a length below 16 MiB, by each of its three bytes.
_ZERO = _crc32c(bytes(8))
_LOW = tuple(_crc32c(bytes((byte, *bytes(7)))) for byte in range(256))
_MIDDLE = tuple(_crc32c(bytes((0, byte, *bytes(6)))) ^ _ZERO for byte in range(256))
_HIGH = tuple(_crc32c(bytes((0, 0, byte, *bytes(5)))) ^ _ZERO for byte in range(256))
