"""Reads the end of a trainer's log for its page, without waiting for a disk that hangs."""

import asyncio
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from alerts.evidence.trainer_log import read_log_end

LINES = 40
SECONDS = 1.0

log = logging.getLogger(__name__)


class LogEnd(NamedTuple):
    """A log's name and its last lines."""

    title: str
    lines: list[str]


class LogReader:
    """Reads from run folders by peer; while one hangs, it is not read again."""

    def __init__(self, run_dirs: Mapping[str, Path]) -> None:
        self._run_dirs = run_dirs
        self._running: dict[str, Future[LogEnd | None]] = {}

    async def read(self, peer: str) -> LogEnd | None:
        """None without a log on this machine, or if it cannot be read in time."""
        run_dir = self._run_dirs.get(peer)
        if run_dir is None:
            return None
        work = self._running.get(peer)
        if work is None:
            work = self._running[peer] = Future()
            threading.Thread(target=_read, args=(run_dir, work), name=f"log-{peer}", daemon=True).start()
        await asyncio.wait([asyncio.wrap_future(work)], timeout=SECONDS)
        if not work.done():
            return None
        self._running.pop(peer, None)
        return work.result()


def _read(run_dir: Path, work: "Future[LogEnd | None]") -> None:
    found = None
    try:
        found = read_log_end(run_dir, LINES)
    except Exception:  # Whatever it is, the page is shown without a log.
        log.warning("cannot read the log in %s", run_dir, exc_info=True)
    work.set_result(LogEnd(*found) if found else None)
