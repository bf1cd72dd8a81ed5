"""Chooses the chart of an alert and has its PNG drawn by a separate process, so that the loop never loads matplotlib.

matplotlib is an optional extra (`peerwatch[charts]`). A chart that is not ready within SECONDS is left out.
"""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from alerts.engine.evaluate import Key
from alerts.rules import Chart, discover

# An e-mail waits this long for its chart; other messages do not wait.
SECONDS = 15.0
SPAN_SECONDS = 6 * 3600.0
# More lines are unreadable; the message names all peers.
MOST_PEERS = 5
MAX_PNG_BYTES = 2_000_000
FRESH_SECONDS = 60.0

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """A kind of chart: its metric and the metric of its limit line."""

    metric: str
    limit: str


KINDS: Mapping[Chart, Kind] = {
    "memory": Kind("memory_bytes", "memory_limit_bytes"),
    "step rate": Kind("steps_per_second", ""),
    "rank": Kind("rank", ""),
    "reward": Kind("reward_cumulative", ""),
    "host memory": Kind("host_memory_available_bytes", ""),
    "disk": Kind("host_disk_free_bytes", ""),
}


class ChartRequest(NamedTuple):
    """A chart of these peers (or this host) up to a time, epoch seconds."""

    rule: str
    peers: tuple[str, ...]
    until: float


def choose(alerts: Sequence[Key], until: float) -> ChartRequest | None:
    """The chart for a message about these alerts: of the first rule with one; None if no rule has one."""
    charted = [key for key in alerts if _chart_of(key.rule)]
    if not charted:
        return None
    peers = tuple(key.peer for key in charted if _chart_of(key.rule) == _chart_of(charted[0].rule))
    return ChartRequest(charted[0].rule, tuple(dict.fromkeys(peers))[:MOST_PEERS], until)


def _chart_of(rule: str) -> Chart | None:
    return discover()[rule].chart if rule in discover() else None


class ChartDrawer:
    """Draws charts from a history file."""

    def __init__(self, history: Path, language: str, zone: str | None) -> None:
        self._history = history
        self._language = language
        self._zone = zone
        self.can_draw = find_spec("matplotlib") is not None
        self._has_warned = False
        # Several routes send the same chart: one draws, the others wait for it.
        self._lock = threading.Lock()
        self._latest: tuple[ChartRequest, bytes] | None = None

    def draw(self, request: ChartRequest) -> bytes:
        """A PNG; empty where there is nothing to draw or no matplotlib. Blocks up to SECONDS, and never raises."""
        if not self.can_draw:
            return b""
        with self._lock:
            latest = self._latest
            if latest is None or latest[0][:2] != request[:2] or request.until - latest[0].until > FRESH_SECONDS:
                latest = self._latest = (request, self._draw(request))
            return latest[1]

    def _draw(self, request: ChartRequest) -> bytes:
        chart = _chart_of(request.rule)
        if chart is None:
            return b""
        kind = KINDS[chart]
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
            return self._warn(type(error).__name__)
        if done.returncode:
            return self._warn(done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200])
        return done.stdout if len(done.stdout) <= MAX_PNG_BYTES else b""

    def _warn(self, why: str) -> bytes:
        if not self._has_warned:
            log.warning("a chart could not be drawn: %s; messages are sent without; this is logged once", why)
        self._has_warned = True
        return b""
