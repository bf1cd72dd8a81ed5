"""The file with a name and a password."""

from pathlib import Path

from exporter.files.named_file import read_named

_MOST_BYTES = 1 << 16


def read_credentials(path: Path) -> bytes:
    """The one line `user:password` of a file. Raises OSError or ValueError, which never quotes the content."""
    lines = read_named(path, _MOST_BYTES).splitlines()
    if len(lines) != 1 or b":" not in lines[0] or lines[0].startswith(b":") or lines[0].endswith(b":"):
        raise ValueError("expected one line user:password")
    return lines[0]
