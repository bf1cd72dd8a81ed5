"""Views of a peer whose sidecar serves a given page."""

from typing import Any

from alerts.rules import View
from alerts.scraping.page import parse
from tests.alerts.conftest import sidecar_page

NOW = 1_700_000_000.0


def view(
    *, memory: dict[str, Any] | None = None, now: float = NOW, clock_stepped_at: float = 0.0, **changes: Any
) -> View:
    """A healthy peer at NOW, with changes to its page by short name."""
    page = sidecar_page(now, **changes)
    return View("a", now, parse(page), memory=memory or {}, clock_stepped_at=clock_stepped_at)


def silent(seconds: float, **memory: Any) -> View:
    """A peer whose sidecar has not answered for so long."""
    return View("a", NOW, None, "no connection", seconds, memory=memory)
