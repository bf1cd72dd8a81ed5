"""Writes, keeps and finds complete checkpoints: whatever ends the trainer while it saves, the one before is whole.

A checkpoint is complete once its seal exists: a list of its files with their digests, written last. A trainer that is
killed while it saves leaves no seal, and a file that was cut, damaged or written over does not match it.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

log = logging.getLogger(__name__)

SEAL = "complete.json"
PREFIX = "checkpoint"
_NAME = re.compile(rf"{PREFIX}-(\d+)")
_READ_BYTES = 1 << 20
_DIGEST_BYTES = 16
_MAX_SEAL_BYTES = 1 << 20


class ModelMismatch(ValueError):
    """The run folder holds another model's checkpoints. The message is one line for the user."""


class Seal(NamedTuple):
    """What a complete checkpoint was made from, the progress through rounds at that time, its digests by file."""

    model: str
    progress: Mapping[str, Any] | None
    files: Mapping[str, Any]


def unseal(checkpoint: Path) -> None:
    """A checkpoint that is about to be written over is not complete. Raises OSError."""
    (checkpoint / SEAL).unlink(missing_ok=True)
    if checkpoint.is_dir():
        _sync_folder(checkpoint)


def seal(checkpoint: Path, model: str, progress: Mapping[str, Any] | None = None) -> None:
    """Marks a checkpoint as complete: it is on the disk, and its files are known. Raises OSError."""
    digests = {}
    for path in _files(checkpoint):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        digests[str(path.relative_to(checkpoint))] = digest(path)
    for folder in {checkpoint, *(path.parent for path in _files(checkpoint))}:
        _sync_folder(folder)
    record = {"model": model, "progress": progress, "files": digests}
    temporary = checkpoint / f".{SEAL}.tmp"
    with open(temporary, "wb") as file:
        file.write(json.dumps(record).encode())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, checkpoint / SEAL)
    _sync_folder(checkpoint)
    _sync_folder(checkpoint.parent)


def digest(path: Path) -> str:
    """Size and BLAKE2b of a file. Raises OSError."""
    found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    size = 0
    with open(path, "rb") as file:
        while block := file.read(_READ_BYTES):
            found.update(block)
            size += len(block)
    return f"{size}:{found.hexdigest()}"


def find_latest(folder: Path, model: str) -> Path | None:
    """The latest complete checkpoint of this model; damaged ones newer than it are removed and logged.

    Raises ModelMismatch if the latest complete one was made from another model.
    """
    for checkpoint in _newest_first(folder):
        reason, made_from = _inspect(checkpoint)
        if reason:
            log.warning("%s is damaged (%s): removed, trying the previous one", checkpoint.name, reason)
            shutil.rmtree(checkpoint, ignore_errors=True)
            continue
        if made_from != model:
            raise ModelMismatch(
                f"model: {checkpoint} comes from {made_from!r}, not {model!r}; move it away, or use another run_dir"
            )
        return checkpoint
    return None


def read_progress(checkpoint: Path) -> Mapping[str, Any] | None:
    """The progress through rounds that a complete checkpoint was made at."""
    return _read_seal(checkpoint).progress


def rotate(folder: Path, keep: int) -> None:
    """Removes all but the newest `keep` complete checkpoints, and what is older than them."""
    kept = 0
    for checkpoint in _newest_first(folder):
        if kept >= keep:
            shutil.rmtree(checkpoint, ignore_errors=True)
        kept += (checkpoint / SEAL).is_file()


def discard(checkpoint: Path) -> None:
    """Removes what a failed save left, for the room that it takes."""
    shutil.rmtree(checkpoint, ignore_errors=True)


def bytes_to_save(folder: Path) -> int:
    """The size of the latest checkpoint: what the next one will take, about; 0 without any."""
    for checkpoint in _newest_first(folder):
        if (checkpoint / SEAL).is_file():
            return sum(path.stat().st_size for path in _files(checkpoint))
    return 0


def free_bytes(folder: Path) -> int:
    """Free space for this user on the disk of a folder that may not exist yet. Raises OSError."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    numbered = [(int(match.group(1)), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(numbered, reverse=True)]


def _inspect(checkpoint: Path) -> tuple[str, str]:
    """(the problem or "", the model that it was made from)."""
    try:
        found = _read_seal(checkpoint)
    except FileNotFoundError:
        return "incomplete save", ""
    except (OSError, ValueError, KeyError, TypeError):
        return f"{SEAL} is unreadable", ""
    for name, expected in found.files.items():
        try:
            # A seal of version 0.1 holds sizes alone.
            is_whole = expected == (
                (checkpoint / name).stat().st_size if isinstance(expected, int) else digest(checkpoint / name)
            )
        except OSError:
            is_whole = False
        if not is_whole:
            return f"{name} is missing or damaged", found.model
    return "", found.model


def _read_seal(checkpoint: Path) -> Seal:
    with open(checkpoint / SEAL, "rb") as file:
        record = json.loads(file.read(_MAX_SEAL_BYTES))
    model, progress = str(record["model"]), record.get("progress")
    return Seal(model, progress if isinstance(progress, Mapping) else None, dict(record["files"]))


def _files(checkpoint: Path) -> list[Path]:
    return [
        path
        for path in sorted(checkpoint.rglob("*"))
        if path.is_file() and not path.name.startswith(f".{SEAL}") and path.name != SEAL
    ]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
