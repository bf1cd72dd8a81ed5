"""A file with a token that opens one thing at a watcher, and below it the certificate by which its page is known."""

from pathlib import Path
from typing import NamedTuple

from exporter.run_folder import read_bounded

MAX_TOKEN_BYTES = 1 << 16
_BEGIN = "-----BEGIN CERTIFICATE-----"


class Token(NamedTuple):
    """What is shown to the watcher, and the watcher's certificate (PEM), empty if the file has none."""

    secret: str
    certificate: str


def read_token(path: Path, remedy: str) -> Token:
    """The content of a copied file. Raises ValueError with one line, which ends with `remedy`."""
    try:
        text = read_bounded(path, MAX_TOKEN_BYTES).decode("ascii")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; {remedy}") from None
    except ValueError:
        raise ValueError(f"{path}: is no token; {remedy}") from None
    secret, _, rest = text.partition("\n")
    if not 16 <= len(secret.strip()) <= 256 or " " in secret.strip():
        raise ValueError(f"{path}: its first line is no token; {remedy}")
    return Token(secret.strip(), rest if _BEGIN in rest else "")
