"""The current status page, rendered once for all readers, part by part, and the parts changed since a version."""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import NamedTuple

from alerts.web.page.arrangement import AS_CONFIGURED, Arrangement
from alerts.web.page.assets import EDITION
from alerts.web.page.render import Content, Renderer, Shell


class _Part(NamedTuple):
    html: str
    version: int


class LivePage:
    """Renders on request if something has changed. `collect` gathers the page's content."""

    def __init__(self, renderer: Renderer, collect: Callable[[], Content]) -> None:
        self._renderer = renderer
        self._collect = collect
        # Identifies this process: versions start at zero with each.
        self._run = secrets.token_hex(4)
        self._parts: dict[str, _Part] = {}
        self._content: Content | None = None
        self._version = 0
        self._is_dirty = True
        # Set when something may have changed, then replaced by a new one.
        self.changed = asyncio.Event()
        self._encoded: dict[int, bytes] = {}
        self._page: str | None = None
        # Set on each request; a background reader that serves only requests clears it.
        self.viewed = asyncio.Event()
        self.is_closed = False

    def invalidate(self) -> None:
        """Something on the page may have changed."""
        self._is_dirty = True
        self._notify()

    def close(self) -> None:
        """Ends the streams: the process stops."""
        self.is_closed = True
        self._notify()

    def page(self, arrangement: Arrangement = AS_CONFIGURED) -> str:
        """The whole page; that of the configuration's order is rendered once for all readers."""
        self.viewed.set()
        content = self._refresh()
        if arrangement != AS_CONFIGURED:
            return self._render(content, arrangement)
        if self._page is None:
            self._page = self._render(content, arrangement)
        return self._page

    def _render(self, content: Content, arrangement: Arrangement) -> str:
        fragments = {name: part.html for name, part in self._parts.items()}
        title = self._renderer.title(content)
        return self._renderer.page(Shell(fragments, title, bool(content.firing), self._mark(), content, arrangement))

    def since(self, mark: str) -> tuple[str, bytes]:
        """The newest mark, and as JSON the parts changed since `mark`; all parts for a mark of another process."""
        self.viewed.set()
        content = self._refresh()
        run, _, number = mark.partition("-")
        known = int(number) if run == self._run and number.isascii() and number.isdecimal() else 0
        if known not in self._encoded:
            changed = {name: part.html for name, part in self._parts.items() if part.version > known}
            update = {
                "edition": EDITION,
                "now": content.now,
                "title": self._renderer.title(content),
                "alarming": bool(content.firing),
                "parts": changed,
            }
            self._encoded[known] = json.dumps(update, ensure_ascii=False, separators=(",", ":")).encode()
        return self._mark(), self._encoded[known]

    def _mark(self) -> str:
        return f"{self._run}-{self._version}"

    def _notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def _refresh(self) -> Content:
        if self._is_dirty or self._content is None:
            self._is_dirty = False
            self._content = self._collect()
            self._version += 1
            self._encoded.clear()
            self._page = None
            for name, html in self._renderer.fragments(self._content).items():
                if name not in self._parts or self._parts[name].html != html:
                    self._parts[name] = _Part(html, self._version)
        return self._content
