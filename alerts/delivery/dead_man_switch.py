"""Sends heartbeats to an external service, which alerts when they stop because the loop or its host is down."""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from urllib.parse import unquote

import httpx

from alerts.delivery.answers import Answer, judge_heartbeat
from alerts.delivery.apprise_sender import hide
from alerts.delivery.outbox import RouteHealth
from alerts.delivery.outcome import DeliveryResult

NAME = "deadman"
TIMEOUT_SECONDS = 20.0
# Of an answer, so much is read; the services' own are a line.
_READ_BYTES = 32_768
_PARTS = re.compile(r"[/@?&=:#+]+")

log = logging.getLogger(__name__)


class DeadManSwitch:
    """Requests one URL periodically while `is_healthy()`; the URL is a secret. `health` is for the page."""

    def __init__(self, url: str, every_seconds: float, is_healthy: Callable[[], bool]) -> None:
        self._url = url
        parts = {part for part in _PARTS.split(url.partition("://")[2]) if len(part) >= 6}
        self._secrets = {url} | parts | {unquote(part) for part in parts}
        self._every_seconds = every_seconds
        self._is_healthy = is_healthy
        self.health = RouteHealth()
        # A redirect loses nothing: the address is all that is sent.
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=True)

    async def run(self) -> None:
        """Runs until it is cancelled. A failure and its end are logged once each."""
        try:
            while True:
                # A loop that does not evaluate must not look alive.
                if self._is_healthy():
                    await self.ping()
                await asyncio.sleep(self._every_seconds)
        finally:
            await self._client.aclose()

    async def ping(self) -> DeliveryResult:
        """One heartbeat; the reason of a refusal holds nothing of the URL."""
        result = await self._ask()
        self._note(result)
        return result

    async def _ask(self) -> DeliveryResult:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._client.stream("GET", self._url) as response:
                body = b""
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) >= _READ_BYTES:
                        break
        except (TimeoutError, httpx.TimeoutException):
            return DeliveryResult(False, f"no answer within {TIMEOUT_SECONDS:g} s")
        except httpx.ConnectError:
            return DeliveryResult(False, "no connection")
        except httpx.TooManyRedirects:
            return DeliveryResult(False, "the service redirects without end")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return DeliveryResult(False, "the request failed")
        refusal = judge_heartbeat(Answer(response.status_code, body))
        if refusal is None:
            return DeliveryResult(True)
        return refusal._replace(reason=hide(refusal.reason, self._secrets))

    def _note(self, result: DeliveryResult) -> None:
        before = self.health
        if result.accepted:
            self.health = RouteHealth(delivered_at=time.time())
            if before.failures:
                log.info("deadman: heartbeat delivery recovered")
            return
        self.health = RouteHealth(before.failures + 1, result.reason, before.delivered_at)
        if not before.failures:
            log.warning(
                "deadman: heartbeat delivery failed: %s; retried every %g s", result.reason, self._every_seconds
            )
