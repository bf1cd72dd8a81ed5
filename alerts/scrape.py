"""Reads the sidecars' pages, all at once; what a sidecar answers, or does not, never breaks the loop."""

import asyncio
import logging
from collections.abc import Container
from dataclasses import dataclass

import httpx

from alerts.config import Target
from alerts.reading import Reading, parse
from alerts.text import say

MAX_PAGE_BYTES = 512 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scrape:
    """A sidecar's page, or in `failure` why there is none."""

    reading: Reading | None
    failure: str = ""


class Scraper:
    """Keeps the connections to all sidecars open between scrapes."""

    def __init__(self, targets: tuple[Target, ...], timeout_seconds: float) -> None:
        self._targets = targets
        self._timeout = timeout_seconds
        # Proxy variables are meant for the notifications; a sidecar is reached directly.
        self._client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=timeout_seconds,
            headers={"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"},
        )

    async def scrape(self) -> dict[str, Scrape]:
        """One scrape per peer, by the peer's name; takes no longer than the time-out."""
        scrapes = await asyncio.gather(*(self._read(target) for target in self._targets))
        return {target.peer: scrape for target, scrape in zip(self._targets, scrapes, strict=True)}

    async def look(self, peers: Container[str], seconds: float) -> dict[str, Scrape]:
        """The scrapes of those of `peers` that come within `seconds`: who needs longer is left to the next round."""
        targets = [target for target in self._targets if target.peer in peers]
        if not targets:
            return {}
        tasks = [asyncio.create_task(self._read(target)) for target in targets]
        try:
            await asyncio.wait(tasks, timeout=seconds)
        finally:
            for task in tasks:
                task.cancel()
        return {target.peer: task.result() for target, task in zip(targets, tasks, strict=True) if task.done()}

    async def close(self) -> None:
        await self._client.aclose()

    async def _read(self, target: Target) -> Scrape:
        try:
            async with asyncio.timeout(self._timeout):
                page = await self._fetch(target.url)
            return Scrape(parse(page))
        except TimeoutError:
            return Scrape(None, say("no answer within {seconds:g} s", seconds=self._timeout))
        except httpx.TimeoutException:
            return Scrape(None, say("no answer within {seconds:g} s", seconds=self._timeout))
        except httpx.ConnectError:
            return Scrape(None, say("no connection"))
        except httpx.HTTPError:
            return Scrape(None, say("the connection broke"))
        except _RefusedError as refused:
            return Scrape(None, refused.args[0])
        except ValueError:
            return Scrape(None, say("the page is not a sidecar's"))
        except Exception:  # The fence: a page is foreign text, and one sidecar must not stop the others.
            log.warning("peer %s: the sidecar's page could not be read", target.peer, exc_info=True)
            return Scrape(None, say("the page is not a sidecar's"))

    async def _fetch(self, url: str) -> str:
        async with self._client.stream("GET", url) as response:
            if response.status_code != 200:
                raise _RefusedError(say("the sidecar answered {status}", status=response.status_code))
            # A compressed page could unfold to any size, and none was asked for.
            if response.headers.get("content-encoding", "identity") != "identity":
                raise _RefusedError(say("the page is compressed although that was not asked for"))
            page = bytearray()
            async for chunk in response.aiter_raw():
                page += chunk
                if len(page) > MAX_PAGE_BYTES:
                    raise _RefusedError(say("the page is larger than {most} KiB", most=MAX_PAGE_BYTES // 1024))
            return page.decode("utf-8", errors="replace")


class _RefusedError(Exception):
    """An answer that is not taken, with the reason as its text."""
