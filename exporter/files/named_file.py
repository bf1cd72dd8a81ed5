"""Opens a file that a configuration names, whatever it turns out to be."""

import os
from pathlib import Path
from typing import BinaryIO


def open_named(path: Path | str) -> BinaryIO:
    """The file, to be read. A pipe that nobody writes to reads as empty, and is not waited for. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        # A pipe with a writer, such as a shell's <(command), is read as any file.
        os.set_blocking(descriptor, True)
        return open(descriptor, "rb")
    except OSError as error:
        os.close(descriptor)
        error.filename = str(path)
        raise


def read_named(path: Path | str, max_bytes: int) -> bytes:
    """At most so many bytes of it. Raises OSError."""
    with open_named(path) as file:
        return file.read(max_bytes)
