"""Tells a service elsewhere that the loop is alive, so that it raises the alarm when the loop, or its host, is not."""

import asyncio
import logging
from collections.abc import Callable

import httpx

TIMEOUT_SECONDS = 20.0

log = logging.getLogger(__name__)


class DeadManSwitch:
    """Asks for one URL again and again while `is_healthy()`; the URL is a secret."""

    def __init__(self, url: str, every_seconds: float, is_healthy: Callable[[], bool]) -> None:
        self._url = url
        self._every_seconds = every_seconds
        self._is_healthy = is_healthy
        self._failure = ""

    async def run(self) -> None:
        """Until it is cancelled. A failure is logged once, and its end."""
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            while True:
                # Without a sign of life the service does what it is there for.
                if self._is_healthy():
                    self._note(await self._ping(client))
                await asyncio.sleep(self._every_seconds)

    async def _ping(self, client: httpx.AsyncClient) -> str:
        """Why the service did not take the sign of life; empty if it did. The reason holds nothing of the URL."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), client.stream("GET", self._url) as response:
                return "" if response.status_code < 400 else f"the service answered {response.status_code}"
        except (TimeoutError, httpx.TimeoutException):
            return f"no answer within {TIMEOUT_SECONDS:g} s"
        except httpx.ConnectError:
            return "no connection"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return "the request failed"

    def _note(self, failure: str) -> None:
        if failure and not self._failure:
            log.warning("deadman: no sign of life arrives: %s; tried every %g s", failure, self._every_seconds)
        elif self._failure and not failure:
            log.info("deadman: the signs of life are taken again")
        self._failure = failure
