"""Scrapes the sidecars concurrently; no answer, and no missing one, breaks the loop."""

import asyncio
import logging
import ssl
from collections.abc import Collection, Container
from dataclasses import dataclass

from alerts.i18n.translatable import say
from alerts.scraping.connection import BUFFER_BYTES, BrokenError, PageConnection, RefusedError
from alerts.scraping.page import Page, parse
from alerts.scraping.target import Target

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scrape:
    """A sidecar's page, or the reason in `failure` why there is none."""

    page: Page | None
    failure: str = ""


class Scraper:
    """Keeps the connections to all sidecars open between scrapes."""

    def __init__(self, targets: tuple[Target, ...], timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        buffer = memoryview(bytearray(BUFFER_BYTES))
        secured = {target.peer for target in targets if target.url.startswith("https:")}
        # Certificates take time and memory to load, so only if a target needs them.
        tls = ssl.create_default_context() if secured else None
        self._connections = {
            target.peer: PageConnection(target.url, buffer, _read_page, tls if target.peer in secured else None)
            for target in targets
        }

    async def scrape(self) -> dict[str, Scrape]:
        """One scrape per peer, by name; takes no longer than the time-out."""
        found = await self._read(self._connections, self._timeout)
        late = Scrape(None, say("no answer within {seconds:g} s", seconds=self._timeout))
        return {peer: found.get(peer, late) for peer in self._connections}

    async def scrape_some(self, peers: Container[str], seconds: float) -> dict[str, Scrape]:
        """Scrapes `peers`; those that take longer than `seconds` are left out, for the next round."""
        return await self._read([peer for peer in self._connections if peer in peers], seconds)

    async def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    async def _read(self, peers: Collection[str], seconds: float) -> dict[str, Scrape]:
        tasks = {peer: asyncio.create_task(self._read_one(peer)) for peer in peers}
        if not tasks:
            return {}
        try:
            await asyncio.wait(tasks.values(), timeout=seconds)
            return {peer: task.result() for peer, task in tasks.items() if task.done()}
        finally:
            late = [task for task in tasks.values() if not task.done()]
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _read_one(self, peer: str) -> Scrape:
        try:
            return Scrape(await self._connections[peer].fetch())
        except OSError:
            return Scrape(None, say("no connection"))
        except BrokenError:
            return Scrape(None, say("the connection broke"))
        except RefusedError as refused:
            return Scrape(None, refused.args[0])
        except ValueError:
            return Scrape(None, say("the page is not a sidecar's"))
        except Exception:  # The guard: a page is untrusted text, and one sidecar must not stop the others.
            log.warning("peer %s: cannot parse the sidecar's page", peer, exc_info=True)
            return Scrape(None, say("the page is not a sidecar's"))


def _read_page(page: bytearray) -> Page:
    return parse(page.decode("utf-8", errors="replace"))
