"""Scrapes the sidecars concurrently; no answer, and no missing one, breaks the loop."""

import asyncio
import logging
import ssl
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

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

    def __init__(
        self, targets: tuple[Target, ...], timeout_seconds: float, logins: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`logins` are `user:password` by peer."""
        self._timeout = timeout_seconds
        buffer = memoryview(bytearray(BUFFER_BYTES))
        # Certificates take time and memory to load, so only those that targets need, and each once.
        secured = {target.certificate for target in targets if target.url.startswith("https:")}
        trusted = {certificate: trust(certificate) for certificate in secured}
        self._connections = {
            target.peer: PageConnection(
                target.url,
                buffer,
                _read_page,
                trusted[target.certificate] if target.url.startswith("https:") else None,
                login=logins.get(target.peer, ""),
            )
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


def trust(certificate: Path | None) -> ssl.SSLContext:
    """Trusts this certificate alone, whatever name it has; without one, those that the system trusts.

    Raises OSError or ssl.SSLError where it cannot be used.
    """
    if certificate is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # It was handed over by the machine itself: it stands for the machine, not for a name of it.
    context.check_hostname = False
    context.load_verify_locations(certificate)
    return context


def _read_page(page: bytearray) -> Page:
    return parse(page.decode("utf-8", errors="replace"))
