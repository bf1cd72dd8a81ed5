"""Reads the leaderboard for the status page. Its responses are not trusted."""

import asyncio
import json
import logging
import math
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alerts.scraping.connection import BUFFER_BYTES, BrokenError, PageConnection, RefusedError

INTERVAL_SECONDS = 30.0
TIMEOUT_SECONDS = 5.0
MAX_BYTES = 4 * 2**20
MAX_LEADERS = 20_000
MAX_TEXT = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Board:
    """Best first, dictionaries of `id`, `nickname`, `total`, `last`, `is_unverified`.

    With a `problem`, those of the last good read.
    """

    leaders: tuple[dict[str, Any], ...] = ()
    problem: str | None = None


class BoardReader:
    """Reads a leaderboard every INTERVAL_SECONDS; `board` is the latest."""

    def __init__(self, url: str) -> None:
        url = f"{url.rstrip('/')}/api/leaderboard-cumulative"
        tls = ssl.create_default_context() if url.startswith("https:") else None
        buffer = memoryview(bytearray(BUFFER_BYTES))
        self._connection = PageConnection(url, buffer, bytes, tls, max_bytes=MAX_BYTES)
        self.board = Board()

    async def run(self, on_change: Callable[[], None]) -> None:
        """Reads until cancelled; calls `on_change` whenever the board changed."""
        try:
            while True:
                if self._keep(await self._read()):
                    on_change()
                await asyncio.sleep(INTERVAL_SECONDS)
        finally:
            self._connection.close()

    def _keep(self, board: Board) -> bool:
        if board.problem and not self.board.problem:
            log.info("leaderboard: %s", board.problem)
        before, self.board = self.board, board if not board.problem else Board(self.board.leaders, board.problem)
        return self.board != before

    async def _read(self) -> Board:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                content = await self._connection.fetch()
            # A big board takes tens of milliseconds to decode: not on the event loop.
            return Board(await asyncio.to_thread(parse, content))
        except TimeoutError:
            return Board(problem="request timed out")
        except OSError:
            return Board(problem="no connection")
        except BrokenError:
            return Board(problem="connection closed early")
        except RefusedError as refused:
            return Board(problem=str(refused))
        except (ValueError, RecursionError):
            return Board(problem="response is not a leaderboard")


def parse(content: bytes) -> tuple[dict[str, Any], ...]:
    """The leaders of `/api/leaderboard-cumulative`, bounded; raises ValueError for anything else."""
    decoded = json.loads(content)
    leaders = decoded.get("leaders") if isinstance(decoded, dict) else None
    if not isinstance(leaders, list):
        raise ValueError("no list of leaders")
    return tuple(_leader(one) for one in leaders[:MAX_LEADERS] if isinstance(one, dict))


def _leader(found: dict[str, Any]) -> dict[str, Any]:
    peer_id = _text(found.get("id"))
    return {
        "id": peer_id,
        "nickname": _text(found.get("nickname")) or peer_id,
        "total": _number(found.get("cumulativeScore")),
        "last": _number(found.get("lastScore")),
        # Of an open swarm: anybody may have written it. A board that says nothing of it is not doubted.
        "is_unverified": found.get("verified") is False,
    }


def _text(found: object) -> str:
    return "".join(c for c in found[: 4 * MAX_TEXT] if c.isprintable())[:MAX_TEXT] if isinstance(found, str) else ""


def _number(found: object) -> float | None:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        number = float(found)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
