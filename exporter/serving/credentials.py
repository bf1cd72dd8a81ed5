"""The file with a name and a password."""

from pathlib import Path


def read_credentials(path: Path) -> bytes:
    """The one line `user:password` of a file. Raises OSError or ValueError, which never quotes the content."""
    lines = path.read_bytes().splitlines()
    if len(lines) != 1 or b":" not in lines[0] or lines[0].startswith(b":") or lines[0].endswith(b":"):
        raise ValueError("expected one line user:password")
    return lines[0]
