"""The status page as it is now: rendered once for all who look, part by part, and what has changed since a moment."""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import NamedTuple

from alerts.web.page.assets import EDITION
from alerts.web.page.render import Content, Renderer, Shell


class _Part(NamedTuple):
    html: str
    version: int


class LivePage:
    """Renders when something has changed and somebody looks. `read_content` gathers what the page tells."""

    def __init__(self, renderer: Renderer, read_content: Callable[[], Content]) -> None:
        self._renderer = renderer
        self._read_content = read_content
        # Tells the pages of this process from those of an earlier one, whose versions counted anew.
        self._run = secrets.token_hex(4)
        self._parts: dict[str, _Part] = {}
        self._content: Content | None = None
        self._version = 0
        self._is_dirty = True
        # Set once something may have changed, and then replaced by a new one.
        self.pulse = asyncio.Event()
        self._encoded: dict[int, bytes] = {}
        # Set whenever somebody looks, and cleared by who works for the looks only.
        self.looked = asyncio.Event()
        self.is_closed = False

    def invalidate(self) -> None:
        """Something that the page tells may have changed."""
        self._is_dirty = True
        self._wake()

    def close(self) -> None:
        """Ends the streams, as the process stops."""
        self.is_closed = True
        self._wake()

    def page(self) -> str:
        """The whole page."""
        self.looked.set()
        content = self._refresh()
        fragments = {name: part.html for name, part in self._parts.items()}
        title = self._renderer.title(content)
        return self._renderer.page(Shell(fragments, title, bool(content.firing), self._mark(), content))

    def since(self, mark: str) -> tuple[str, bytes]:
        """The newest mark, and as JSON the parts that changed since `mark`; all parts after one of another run."""
        self.looked.set()
        content = self._refresh()
        run, _, number = mark.partition("-")
        known = int(number) if run == self._run and number.isascii() and number.isdecimal() else 0
        if known not in self._encoded:
            changed = {name: part.html for name, part in self._parts.items() if part.version > known}
            told = {
                "edition": EDITION,
                "now": content.now,
                "title": self._renderer.title(content),
                "alarming": bool(content.firing),
                "parts": changed,
            }
            self._encoded[known] = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        return self._mark(), self._encoded[known]

    def _mark(self) -> str:
        return f"{self._run}-{self._version}"

    def _wake(self) -> None:
        self.pulse.set()
        self.pulse = asyncio.Event()

    def _refresh(self) -> Content:
        if self._is_dirty or self._content is None:
            self._is_dirty = False
            self._content = self._read_content()
            self._version += 1
            self._encoded.clear()
            for name, html in self._renderer.fragments(self._content).items():
                if name not in self._parts or self._parts[name].html != html:
                    self._parts[name] = _Part(html, self._version)
        return self._content
