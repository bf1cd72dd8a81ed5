"""References to secrets: `${NAME}` for an environment variable, `file:/path` for a file's content."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer, SecretStr

# As in the configuration: a reference, or the secret itself. Only its file and `resolve` show it.
SecretReference = Annotated[
    SecretStr, PlainSerializer(lambda secret: secret.get_secret_value(), return_type=str, when_used="json")
]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE = "file:"


class UnresolvedReferenceError(Exception):
    """An unresolvable reference; the text names the reference, never a value."""


def resolve(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text with its references replaced.

    A text that begins with `file:` is the path of a file with the whole text, which has no further references.
    A value is inserted unchanged: for a URL, it must be percent-encoded already.
    """
    if text.startswith(_FILE):
        return _read(text)

    def value_of(match: re.Match[str]) -> str:
        value = environment.get(match[1], "")
        if not value:
            raise UnresolvedReferenceError(f"environment variable {match[1]} is not set")
        return value

    return _VARIABLE.sub(value_of, text)


def path_of(text: str) -> Path | None:
    """The file that a text refers to; None for any other text."""
    return Path(text.removeprefix(_FILE)).expanduser() if text.startswith(_FILE) else None


def variables(text: str) -> list[str]:
    """The names of the environment variables that a text refers to."""
    return [] if text.startswith(_FILE) else _VARIABLE.findall(text)


def _read(reference: str) -> str:
    try:
        content = Path(reference.removeprefix(_FILE)).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UnresolvedReferenceError(f"{reference}: {reason}") from None
    if not content:
        raise UnresolvedReferenceError(f"{reference}: the file is empty")
    return content
