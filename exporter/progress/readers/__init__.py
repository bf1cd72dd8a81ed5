"""The readers: one file for each source of a trainer's progress; every file that does not begin with _ is one."""

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.progress.record import Reader


def list_readers() -> list[str]:
    """The names that `progress:` may give a reader."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if not name.startswith("_"))


def make_reader(name: str, options: Mapping[str, Any], folder: Path) -> Reader:
    """The reader of this name. Raises ValueError, one line for a person, where name or options do not fit."""
    known = list_readers()
    if name not in known:
        raise ValueError(f"{str(name)[:64]!r} is no reader; the readers are {', '.join(known)}")
    made: Reader = importlib.import_module(f"{__name__}.{name}").Reader.configured(options, folder)
    return made


def check_options(name: str, options: Mapping[str, Any], folder: Path) -> str | None:
    """What is wrong with a reader's options, in one line that begins with its name; None if nothing. Opens nothing."""
    try:
        make_reader(name, options, folder)
    except ValueError as error:
        return f"{name}: {error}" if name in list_readers() else str(error)
    return None
