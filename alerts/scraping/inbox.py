"""The pages that machines push: the latest of each peer, and when it came."""

import logging
from collections.abc import Callable, Collection, Mapping

from alerts.i18n.translatable import Seconds, Text, say
from alerts.scraping.connection import MAX_PAGE_BYTES
from alerts.scraping.page import Page, read_page
from alerts.scraping.target import Target

# A page counts for so many intervals: one or two may be late.
INTERVALS = 3

log = logging.getLogger(__name__)


class Inbox:
    """Holds one page for each peer of the machines that push, and no other; `clock` never steps."""

    def __init__(self, targets: Collection[Target], interval_seconds: float, clock: Callable[[], float]) -> None:
        self._machines = {target.peer: target.machine for target in targets if target.pushed}
        self._fresh_seconds = INTERVALS * interval_seconds
        self._clock = clock
        # What each machine pushed last, by the names of peers here, and when.
        self._pushes: dict[str, tuple[float, Mapping[str, Page | Text]]] = {}

    @property
    def peers(self) -> Collection[str]:
        """The peers whose pages come here."""
        return self._machines.keys()

    def put(self, machine: str, pages: Mapping[str, bytes]) -> None:
        """Takes the pages of a push, by the names that the peers have there."""
        found = {}
        for name, page in pages.items():
            peer = name if self._machines.get(name) == machine else f"{name}@{machine}"
            if self._machines.get(peer) == machine:
                found[peer] = _read(peer, page)
        self._pushes[machine] = self._clock(), found

    def latest(self, peer: str) -> tuple[Page | Text, float]:
        """The latest page of a peer, or why there is none; and how many seconds ago it came."""
        came_at, found = self._pushes.get(self._machines[peer], (None, {}))
        if came_at is None:
            return say("it has pushed no page yet"), 0.0
        age = max(0.0, self._clock() - came_at)
        if age > self._fresh_seconds:
            return say("no page was pushed within {time}", time=Seconds(self._fresh_seconds)), age
        return found.get(peer, say("its sidecar does not answer there")), age


def _read(peer: str, content: bytes) -> Page | Text:
    """The page, or why it is none: as for one that is asked for."""
    if len(content) > MAX_PAGE_BYTES:
        return say("the page is larger than {most} KiB", most=MAX_PAGE_BYTES // 1024)
    try:
        return read_page(content)
    except ValueError:
        return say("the page is not a sidecar's")
    except Exception:  # The guard: a page is untrusted text, and one sidecar must not stop the others.
        log.warning("peer %s: cannot parse the sidecar's page", peer, exc_info=True)
        return say("the page is not a sidecar's")
