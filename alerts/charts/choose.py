"""Which chart goes with an alert, and its PNG, drawn by a process of its own: the loop never loads what draws.

Drawing is matplotlib's, an optional extra (`peerwatch[charts]`). A chart that cannot be had within SECONDS is left out.
"""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from alerts.engine.evaluate import Key

# A mail waits for its chart as long as this; other messages do not wait.
SECONDS = 15.0
SPAN_SECONDS = 6 * 3600.0
# More lines are a tangle; the message names all.
MOST_PEERS = 5
MAX_PNG_BYTES = 2_000_000
FRESH_SECONDS = 60.0

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """A kind of chart: what it draws, and the line that it draws beside it."""

    metric: str
    limit: str


_MEMORY = Kind("memory_bytes", "memory_limit_bytes")
_STEPS = Kind("steps_per_second", "")
_RANK = Kind("rank", "")
_REWARD = Kind("reward_cumulative", "")
_FREE = Kind("host_memory_available_bytes", "")
_DISK = Kind("host_disk_free_bytes", "")
KINDS = {
    "MemoryExceeded": _MEMORY,
    "MemoryForecast": _MEMORY,
    "HostMemoryPressure": _FREE,
    "DiskLow": _DISK,
    "PeerStalled": _STEPS,
    "StepRateDegraded": _STEPS,
    "PeerDown": _STEPS,
    "CrashLoop": _STEPS,
    "RankDrop": _RANK,
    "OffBoard": _RANK,
    "RewardStagnant": _REWARD,
}


class ChartRequest(NamedTuple):
    """A chart to be drawn: of these peers (or this host), up to this moment, epoch seconds."""

    rule: str
    peers: tuple[str, ...]
    until: float


def choose(alerts: Sequence[Key], until: float) -> ChartRequest | None:
    """The chart for a message about these alerts: of the first rule that has one; None where none has."""
    drawn = [key for key in alerts if key.rule in KINDS]
    if not drawn:
        return None
    peers = tuple(key.peer for key in drawn if KINDS[key.rule] == KINDS[drawn[0].rule])
    return ChartRequest(drawn[0].rule, tuple(dict.fromkeys(peers))[:MOST_PEERS], until)


class ChartDrawer:
    """Makes charts from the history of a state folder."""

    def __init__(self, history: Path, language: str, zone: str | None) -> None:
        self._history = history
        self._language = language
        self._zone = zone
        self.can_draw = find_spec("matplotlib") is not None
        self._has_complained = False
        # Several routes tell the same; one draws, the others wait for it.
        self._lock = threading.Lock()
        self._latest: tuple[ChartRequest, bytes] | None = None

    def draw(self, request: ChartRequest) -> bytes:
        """A PNG; empty where there is nothing to draw, or no means to. Waits up to SECONDS, and never raises."""
        if not self.can_draw:
            return b""
        with self._lock:
            latest = self._latest
            if latest is None or latest[0][:2] != request[:2] or request.until - latest[0].until > FRESH_SECONDS:
                latest = self._latest = (request, self._draw(request))
            return latest[1]

    def _draw(self, request: ChartRequest) -> bytes:
        kind = KINDS[request.rule]
        task = {
            "history": str(self._history),
            "peers": request.peers,
            "metric": kind.metric,
            "limit": kind.limit,
            "language": self._language,
            "since": request.until - SPAN_SECONDS,
            "until": request.until,
            "zone": self._zone,
        }
        try:
            done = subprocess.run(
                [sys.executable, "-m", "alerts.charts.render_png"],
                input=json.dumps(task).encode(),
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return self._complain(type(error).__name__)
        if done.returncode:
            return self._complain(done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200])
        return done.stdout if len(done.stdout) <= MAX_PNG_BYTES else b""

    def _complain(self, why: str) -> bytes:
        if not self._has_complained:
            log.warning("a chart could not be drawn: %s; messages go without, and this is said once", why)
        self._has_complained = True
        return b""
