"""The options of a source: those of a reader, and numbers and lists."""

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from exporter.progress.options import Options

MAX_LIST = 16


class SourceOptions(Options):
    """Raises ValueError, one line that names the option, its value and the remedy, for what does not fit."""

    def seconds(self, name: str, *, default: float, least: float, why: str) -> float:
        """A time; `why` says what the shortest is good for."""
        value = self._options.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 86400:
            raise ValueError(f"{name}: {str(value)[:64]!r} is not a number from {least:g} to 86400 ({why})")
        return float(value)

    def whole(self, name: str, *, default: int, least: int, most: int) -> int:
        """A whole number."""
        value = self._options.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{name}: {str(value)[:64]!r} is not a whole number from {least} to {most}")
        return value

    def version(self, name: str) -> str | None:
        """A release; YAML reads 0.6 as a number. None where it is absent."""
        value = self._options.get(name)
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else self.text(name)

    def texts(
        self, name: str, *, default: Sequence[str], example: str, read: Callable[[object], object] = lambda one: one
    ) -> list[str]:
        """One text, or several; each once. `read` makes a text of what a file may hold in its place."""
        value = self._options.get(name)
        if value is None:
            return list(default)
        values = [read(one) for one in (value if isinstance(value, list | tuple) else [value])]
        texts = [one for one in values if isinstance(one, str) and one.isprintable()]
        if not 0 < len(texts) == len(values) <= MAX_LIST:
            raise ValueError(f"{name}: is not a list of 1 to {MAX_LIST} texts; write one such as {example}")
        if len(set(texts)) < len(texts):
            raise ValueError(f"{name}: has one of its values twice; write each once")
        return texts

    def address(self, name: str, *, default: str | None, example: str) -> str:
        """The URL of a service, to which paths are added."""
        value = default if default is not None and self._options.get(name) is None else self.url(name, example=example)
        assert value is not None
        parts = urlsplit(value)
        if parts.query or parts.fragment:
            raise ValueError(f"{name}: ends in ? or #; write only where its paths begin, such as {example}")
        return value.rstrip("/")
