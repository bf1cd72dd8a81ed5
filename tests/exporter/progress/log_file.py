"""A log that a test writes to, and what the reader takes from it."""

import time
from pathlib import Path
from typing import Any

from exporter.progress.readers.log import Reader
from exporter.progress.record import Record


def write(path: Path, text: str) -> None:
    """Adds to the log."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def read(path: Path, text: str, **options: Any) -> list[Record]:
    """What a new reader with these options tells once the text is added."""
    write(path, text)
    return list(Reader.configured({"path": path.name, **options}, path.parent).read(time.time()))
