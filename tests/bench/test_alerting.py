"""The alert loop against Debian's Prometheus and Alertmanager, on the same sidecars at the same time."""

import contextlib
import math
import re
import statistics
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.alerts.conftest import Sidecar
from tests.bench.alerting import Peerwatch, Rival, Sidecars, cpu_seconds, uss
from tests.fakes import LOOPBACK, wait_for

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1500)]

Record = Callable[..., None]
INTERVAL = 15
MEASURED_SECONDS = 4 * INTERVAL
STALLS = 20
SPACING_SECONDS = 3.37


class Arrivals:
    """A webhook that keeps when each peer was first notified, by a word of the message."""

    def __init__(self, words: list[str]) -> None:
        self.at: dict[str, float] = {}
        arrivals = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                now = time.time()
                received = set(re.findall(r"[\w.:-]+", self.rfile.read(int(self.headers["Content-Length"])).decode()))
                for word in received.intersection(words):
                    arrivals.at.setdefault(word, now)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._words = words
        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.address = f"{LOOPBACK}:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def delays_ms(self, instants: list[float]) -> list[float]:
        return sorted(1e3 * (self.at[word] - at) for word, at in zip(self._words, instants, strict=True))

    def has_all(self) -> bool:
        return len(self.at) == len(self._words)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_from_a_stall_to_the_webhook(record: Record, tmp_path: Path) -> None:
    """Each stall is of another peer, at a time not aligned to any interval."""
    subject = "From the stall limit to the notification at a webhook"
    with contextlib.ExitStack() as stack:
        sidecars = [Sidecar() for _ in range(STALLS)]
        ports = [int(sidecar.url.split(":")[2].split("/")[0]) for sidecar in sidecars]
        instances = [f"{LOOPBACK}:{port}" for port in ports]
        hooks = {
            "Peerwatch at 15 s": Arrivals([f"peer-{number}" for number in range(STALLS)]),
            "Prometheus and Alertmanager at 1 s": Arrivals(instances),
            "Prometheus and Alertmanager at 15 s": Arrivals(instances),
        }
        for server in (*sidecars, *hooks.values()):
            stack.callback(server.close)
        ours, fast, slow = (hook.address for hook in hooks.values())
        Peerwatch(stack, tmp_path / "ours", ports, f"json://{ours}")
        Rival(stack, tmp_path / "fast", ports, f"http://{fast}", "1s")
        Rival(stack, tmp_path / "slow", ports, f"http://{slow}", "15s")
        first = time.time() + 2 * INTERVAL + 5
        instants = [first + SPACING_SECONDS * number for number in range(STALLS)]
        for sidecar, at in zip(sidecars, instants, strict=True):
            sidecar.serve(started=first - 900, phase_start=first - 800, last_step=at - 200, stall_after=200)
        wait_for(lambda: all(hook.has_all() for hook in hooks.values()), 240, "all alerts at all webhooks")
        delays = {name: hook.delays_ms(instants) for name, hook in hooks.items()}
    for name, of_hook in delays.items():
        goal = "p95 below 100 ms" if name.startswith("Peerwatch") else ""
        record(subject, name, f"median {statistics.median(of_hook):.0f} ms, p95 {_p95(of_hook):.0f} ms", goal)
    assert min(map(min, delays.values())) > 0
    assert _p95(delays["Peerwatch at 15 s"]) < 100


def _p95(delays: list[float]) -> float:
    """Of delays in rising order."""
    return delays[math.ceil(0.95 * len(delays)) - 1]


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_cost_of_monitoring(record: Record, tmp_path: Path, count: int) -> None:
    """Both monitor the same healthy peers during the same minute."""
    with contextlib.ExitStack() as stack:
        ports = Sidecars(stack, count).ports
        ours = Peerwatch(stack, tmp_path / "ours", ports, f"json://{LOOPBACK}:9/").processes
        theirs = Rival(stack, tmp_path / "theirs", ports, f"http://{LOOPBACK}:9/", "15s").processes
        time.sleep(2 * INTERVAL)
        before = cpu_seconds(ours), cpu_seconds(theirs)
        time.sleep(MEASURED_SECONDS)
        own, other = cpu_seconds(ours) - before[0], cpu_seconds(theirs) - before[1]
        own_memory, other_memory = uss(ours), uss(theirs)
    subject = f"Watching {count} sidecars at 15 s, beside Prometheus and Alertmanager"
    per_round = 1e3 * INTERVAL / MEASURED_SECONDS
    record(subject, "CPU per 15 s", f"{own * per_round:.0f} ms against {other * per_round:.0f} ms", "less")
    goal = "at most a third" if count == 1000 else ""
    record(subject, "USS", f"{own_memory:.0f} MB against {other_memory:.0f} MB", goal)
    assert own < other
    assert count < 1000 or own_memory <= other_memory / 3
