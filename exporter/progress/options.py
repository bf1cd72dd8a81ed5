"""The options of a reader, taken one by one; what is left over is a mistake."""

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MAX_LENGTH = 4096


class Options:
    """Raises ValueError, one line that names the option, its value and the remedy, for what does not fit."""

    def __init__(self, options: Mapping[str, Any], known: Sequence[str]) -> None:
        self._options = options
        for name in options:
            if name not in known:
                raise ValueError(f"{str(name)[:64]}: unknown option; the options are {', '.join(known)}")

    def text(self, name: str) -> str | None:
        """A text; None where it is absent."""
        value = self._options.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value or len(value) > MAX_LENGTH or not value.isprintable():
            raise ValueError(f"{name}: {str(value)[:64]!r} is not a text; write it on one line, in quotes if need be")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """One of the choices; None where it is absent. `-` and `_` are alike."""
        value = self.text(name)
        if value is None or value.replace("-", "_") in choices:
            return value and value.replace("-", "_")
        raise ValueError(f"{name}: {value[:64]!r} is none of {', '.join(choices)}")

    def path(self, name: str, folder: Path, *, example: str) -> Path:
        """A path, from the folder on; `~` is the home. It must be there."""
        value = self.text(name)
        if value is None:
            raise ValueError(f"{name}: is missing; name it, such as {example}")
        if "**" in value:
            raise ValueError(f"{name}: {value[:64]!r} may search a whole disk; write a * for each folder, not **")
        return folder / os.path.expanduser(value)

    def pattern(self, name: str, folder: Path, *, example: str) -> tuple[Path, bool]:
        """A path, and whether it is a pattern with `*`, `?` or `[…]`; only what the option holds is taken for one."""
        path = self.path(name, folder, example=example)
        if not glob.has_magic(str(self._options[name])):
            return path, False
        return Path(glob.escape(str(folder))) / os.path.expanduser(self._options[name]), True

    def url(self, name: str, *, example: str) -> str:
        """An http or https URL. It must be there; its password is not repeated in the error."""
        value = self.text(name)
        if value is None:
            raise ValueError(f"{name}: is missing; name it, such as {example}")
        try:
            parts = urlsplit(value)
            if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
                return value
        except ValueError:
            pass
        raise ValueError(f"{name}: is not a URL; write one such as {example}")

    def table(self, name: str) -> dict[str, str]:
        """A table of texts; empty where it is absent."""
        value = self._options.get(name, {})
        if not isinstance(value, Mapping) or not all(isinstance(x, str) and x for pair in value.items() for x in pair):
            raise ValueError(f"{name}: {str(value)[:64]!r} is not a table of names, such as {{their_name: reward}}")
        return dict(value)
