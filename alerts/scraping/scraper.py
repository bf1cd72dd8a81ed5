"""Scrapes the sidecars concurrently; no answer, and no missing one, breaks the loop."""

import asyncio
import logging
import ssl
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from alerts.i18n.translatable import say
from alerts.scraping.connection import BUFFER_BYTES, BrokenError, PageConnection, RefusedError
from alerts.scraping.inbox import Inbox
from alerts.scraping.page import Page, read_page
from alerts.scraping.target import Target
from exporter.serving.trust import trust

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scrape:
    """A sidecar's page, or the reason in `failure` why there is none.

    `age_seconds` is the time since the page came, if it was not just asked for.
    """

    page: Page | None
    failure: str = ""
    age_seconds: float = 0.0


class Scraper:
    """Keeps the connections to all sidecars open between scrapes; what is pushed is in the inbox."""

    def __init__(
        self,
        targets: tuple[Target, ...],
        timeout_seconds: float,
        logins: Mapping[str, str] = MappingProxyType({}),
        inbox: Inbox | None = None,
    ) -> None:
        """`logins` are `user:password` by peer; `inbox` is for targets that are pushed."""
        self._timeout = timeout_seconds
        self._inbox = inbox
        self._peers = [target.peer for target in targets]
        targets = tuple(target for target in targets if not target.pushed)
        buffer = memoryview(bytearray(BUFFER_BYTES))
        # Certificates take time and memory to load, so only those that targets need, and each once.
        secured = {target.certificate for target in targets if target.url.startswith("https:")}
        trusted = {certificate: trust(certificate) for certificate in secured}
        self._connections = {
            target.peer: PageConnection(
                target.url,
                buffer,
                read_page,
                trusted[target.certificate] if target.url.startswith("https:") else None,
                login=logins.get(target.peer, ""),
            )
            for target in targets
        }

    async def scrape(self) -> dict[str, Scrape]:
        """One scrape per peer, by name; takes no longer than the time-out."""
        found = await self._read(self._connections, self._timeout)
        if self._inbox is not None:
            found |= {peer: _take(self._inbox, peer) for peer in self._inbox.peers}
        late = Scrape(None, say("no answer within {seconds:g} s", seconds=self._timeout))
        return {peer: found.get(peer, late) for peer in self._peers}

    async def scrape_some(self, peers: Container[str], seconds: float) -> dict[str, Scrape]:
        """Scrapes `peers`; those that take longer than `seconds` are left out, for the next round.

        So are those that push, as they cannot be asked.
        """
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
        except ssl.SSLCertVerificationError:
            return Scrape(None, say("its certificate is not trusted"))
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


def _take(inbox: Inbox, peer: str) -> Scrape:
    page, age = inbox.latest(peer)
    return Scrape(page, age_seconds=age) if isinstance(page, Page) else Scrape(None, page)
