"""Where a run was, from the state that transformers' Trainer saves with each checkpoint.

`checkpoint-N/trainer_state.json` holds the step, the total and all that was logged. Saves are rare, so no silence is
judged by them. Source: transformers/trainer_callback.py (`TrainerState.save_to_json`: indented, keys in order of the
alphabet, so the step stands before the long `log_history` and the total behind it).
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from exporter.progress.names import without_evaluation
from exporter.progress.options import Options
from exporter.progress.readers.jsonl import flatten
from exporter.progress.record import ReadError, Record

OPTIONS = ("path",)

STATE_FILE = "trainer_state.json"
HEAD_BYTES = 1 << 16
TAIL_BYTES = 1 << 19
MAX_FOLDERS = 10_000

_FOLDER = re.compile(r"checkpoint-\d{1,15}")
_STEP = re.compile(rb'^ {0,8}"global_step": (\d{1,15})\b', re.MULTILINE)
_TOTAL = re.compile(rb'^ {0,8}"max_steps": (\d{1,15})\b', re.MULTILINE)
# What was logged at one step: an object that holds no other.
_LOGGED = re.compile(rb"\{[^{}]{1,65536}\}")


class Reader:
    """Reads the newest checkpoint in the output folder of a trainer, or the state in the folder itself."""

    is_live: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: tuple[Path, int] | None = None
        self._step = -1

    @classmethod
    def configured(cls, options: Mapping[str, Any], folder: Path) -> Self:
        """The reader for `path`, the output folder."""
        return cls(Options(options, OPTIONS).path("path", folder, example="outputs/grpo"))

    def read(self, now: float) -> Sequence[Record]:
        """What was logged since the last checkpoint that was read, and the checkpoint itself."""
        try:
            newest = self._find_newest()
            if newest is None:
                raise ReadError(f"{self._folder}: no checkpoint with a {STATE_FILE} yet")
            modified, path = newest
            if self._read == (path, modified):
                return ()
            records = parse(_read_ends(path), min(now, modified / 1e9))
        except OSError as error:
            raise ReadError(f"{self._folder}: {error.strerror or error}") from None
        if not records:
            return ()  # Not whole yet; what is missing may be written within the same tick of the disk's clock.
        self._read = (path, modified)
        if records[-1].step is not None and records[-1].step < self._step:
            self._step = -1  # Another run saves into the folder.
        begun = self._step
        self._step = records[-1].step or 0
        return [record for record in records if record.step is None or record.step > begun]

    def _find_newest(self) -> tuple[int, Path] | None:
        found = []
        with os.scandir(self._folder) as entries:
            for _, entry in zip(range(MAX_FOLDERS), entries, strict=False):
                if _FOLDER.fullmatch(entry.name) or entry.name == STATE_FILE:
                    path = Path(entry.path) / STATE_FILE if entry.name != STATE_FILE else Path(entry.path)
                    modified = _find_modified(path)
                    if modified is not None:
                        found.append((modified, path))
        return max(found, default=None)


def parse(content: tuple[bytes, bytes], at: float) -> list[Record]:
    """The records of a state, of which the beginning and the end are given; none where it is not complete."""
    head, tail = content
    step = _STEP.search(head)
    total = _TOTAL.search(tail)
    if not step or not total or not tail.rstrip().endswith(b"\n}"):
        return []
    total_steps = int(total[1]) or None
    records = list(_read_history(tail, total_steps))
    last = int(step[1])
    if records and records[-1].step == last:
        records[-1] = records[-1]._replace(at=at)
        return records
    return [*records, Record({}, last, at, total_steps)]


def _read_history(tail: bytes, total_steps: int | None) -> Iterator[Record]:
    _, _, after = tail.partition(b'"log_history"')
    for found in _LOGGED.finditer(after or tail):
        try:
            entry = json.loads(found[0])
        except (ValueError, RecursionError):
            continue
        step = entry.pop("step", None) if isinstance(entry, dict) else None
        if not isinstance(step, int) or isinstance(step, bool) or step < 0:
            continue
        values = without_evaluation(dict(flatten(entry)))
        if values.keys() - {"epoch"}:
            yield Record(values, step, None, total_steps)


def _find_modified(path: Path) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def _read_ends(path: Path) -> tuple[bytes, bytes]:
    """The beginning and the end of a plain file; the whole of a short one, twice. Raises OSError or ReadError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ReadError(f"{path}: is not a plain file")
        size = status.st_size
        if size <= HEAD_BYTES + TAIL_BYTES:
            content = file.read(HEAD_BYTES + TAIL_BYTES)
            return content, content
        head = file.read(HEAD_BYTES)
        file.seek(size - TAIL_BYTES)
        return head, file.read(TAIL_BYTES)
