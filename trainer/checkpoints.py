"""Finds the latest complete checkpoint of a run folder, the one to resume from.

A checkpoint is complete once its seal exists: a list of its files with their sizes, written last. A trainer that is
killed while it saves leaves no seal, and a truncated file does not match it.
"""

import json
import logging
import os
import re
import shutil
from pathlib import Path

from exporter.run_folder import write_atomically

log = logging.getLogger(__name__)

SEAL = "complete.json"
_NAME = re.compile(r"checkpoint-(\d+)")


class ModelMismatch(ValueError):
    """The run folder holds another model's checkpoints. The message is one line for the user."""


def seal(checkpoint: Path, model: str) -> None:
    """Marks a checkpoint as complete. Raises OSError."""
    sizes = {}
    for path in _files(checkpoint):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        sizes[str(path.relative_to(checkpoint))] = path.stat().st_size
    write_atomically(checkpoint / SEAL, json.dumps({"model": model, "files": sizes}).encode())


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


def _newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    numbered = [(int(match.group(1)), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(numbered, reverse=True)]


def _inspect(checkpoint: Path) -> tuple[str, str]:
    """(the problem or "", the model that it was made from)."""
    try:
        record = json.loads((checkpoint / SEAL).read_bytes())
        sizes, model = dict(record["files"]), str(record["model"])
    except FileNotFoundError:
        return "incomplete save", ""
    except (OSError, ValueError, KeyError, TypeError):
        return f"{SEAL} is unreadable", ""
    for name, size in sizes.items():
        path = checkpoint / name
        if not path.is_file() or path.stat().st_size != size:
            return f"{name} is missing or truncated", model
    return "", model


def _files(checkpoint: Path) -> list[Path]:
    return [path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name != SEAL]
