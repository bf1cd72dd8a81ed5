"""Sends heartbeats to an external service, which alerts when they stop because the loop or its host is down."""

import asyncio
import logging
from collections.abc import Callable

import httpx

TIMEOUT_SECONDS = 20.0

log = logging.getLogger(__name__)


class DeadManSwitch:
    """Requests one URL periodically while `is_healthy()`; the URL is a secret."""

    def __init__(self, url: str, every_seconds: float, is_healthy: Callable[[], bool]) -> None:
        self._url = url
        self._every_seconds = every_seconds
        self._is_healthy = is_healthy
        self._failure = ""

    async def run(self) -> None:
        """Runs until it is cancelled. A failure and its end are logged once each."""
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            while True:
                # A loop that does not evaluate must not look alive.
                if self._is_healthy():
                    self._note(await self._ping(client))
                await asyncio.sleep(self._every_seconds)

    async def _ping(self, client: httpx.AsyncClient) -> str:
        """Why the heartbeat was not accepted, or ""; the reason holds nothing of the URL."""
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
            log.warning("deadman: heartbeat delivery failed: %s; retried every %g s", failure, self._every_seconds)
        elif self._failure and not failure:
            log.info("deadman: heartbeat delivery recovered")
        self._failure = failure
