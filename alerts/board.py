"""Reads the leaderboard for the status page, beside the loop; what answers there may be anything."""

import asyncio
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

INTERVAL_SECONDS = 30.0
TIMEOUT_SECONDS = 5.0
MAX_BYTES = 4 * 2**20
MAX_LEADERS = 20_000
MAX_TEXT = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Board:
    """Best first, dictionaries of `id`, `nickname`, `total`, `last`; the latest that could be read stays."""

    leaders: tuple[dict[str, Any], ...] = ()
    trouble: str | None = None


class BoardReader:
    """Reads the board of one leaderboard every so often; `board` is the latest."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/api/leaderboard-cumulative"
        self.board = Board()

    async def run(self, on_change: Callable[[], None]) -> None:
        """Reads until it is cancelled, and calls `on_change` whenever the board is another one."""
        # Proxy variables are meant for the notifications; the leaderboard is reached directly.
        async with httpx.AsyncClient(trust_env=False, headers={"Accept-Encoding": "identity"}) as client:
            while True:
                if self._keep(await self._read(client)):
                    on_change()
                await asyncio.sleep(INTERVAL_SECONDS)

    def _keep(self, board: Board) -> bool:
        if board.trouble and not self.board.trouble:
            log.info("leaderboard: %s", board.trouble)
        before, self.board = self.board, board if not board.trouble else Board(self.board.leaders, board.trouble)
        return self.board != before

    async def _read(self, client: httpx.AsyncClient) -> Board:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                content = await _fetch(client, self._url)
            # A big board takes tens of milliseconds to decode, which the loop need not wait for.
            return Board(await asyncio.to_thread(parse, content))
        except TimeoutError:
            return Board(trouble="no answer in time")
        except httpx.HTTPError:
            return Board(trouble="no connection")
        except _RefusedError as refused:
            return Board(trouble=str(refused))
        except (ValueError, RecursionError):
            return Board(trouble="its answer is no board")


def parse(content: bytes) -> tuple[dict[str, Any], ...]:
    """The leaders of `/api/leaderboard-cumulative`, bounded; raises ValueError for what is no board."""
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


async def _fetch(client: httpx.AsyncClient, url: str) -> bytes:
    async with client.stream("GET", url, timeout=TIMEOUT_SECONDS) as response:
        if response.status_code != 200:
            raise _RefusedError(f"it answered {response.status_code}")
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > MAX_BYTES:
                raise _RefusedError(f"its answer is larger than {MAX_BYTES // 2**20} MiB")
        return bytes(content)


class _RefusedError(Exception):
    """An answer that is not taken, with the reason as its text."""
