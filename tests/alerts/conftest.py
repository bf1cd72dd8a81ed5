"""A sidecar that serves the page a test writes, and the alert loop as a real process beside it."""

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests import warm
from tests.fakes import LOOPBACK, get, wait_for

ROOT = Path(__file__).parents[2]
# The machine of the tests may be short of memory or disk; no test is about that one.
OF_NO_MACHINE: dict[str, Any] = {name: {"enabled": False} for name in ("DiskLow", "HostMemoryPressure")}


def sidecar_page(now: float | None = None, **changes: float | str | None) -> str:
    """The page of a healthy peer that has just made a step; `changes` by short name, None leaves a sample out."""
    now = time.time() if now is None else now
    values: dict[str, float | str | None] = {
        "up": 1,
        "state": "training",
        "started": now - 1000,
        "phase_start": now - 500,
        "last_step": now - 1,
        "stall_after": 30,
        "footprint": 2**30,
        "limit": 4 * 2**30,
        "rank": 1,
        "ranked": 3,
        "cumulative": 10.0,
        "source_up": 1,
        "polled": now,
        "nickname": "quick amber fox",
        **changes,
    }
    samples = {
        "up": "trainer_up",
        "state": 'trainer_state{{trainer_state="{}"}} 1',
        "started": "trainer_start_timestamp_seconds",
        "phase_start": "trainer_phase_start_timestamp_seconds",
        "last_step": "trainer_last_step_timestamp_seconds",
        "stall_after": "trainer_stall_after_seconds",
        "footprint": 'trainer_memory_bytes{{kind="footprint"}} {}',
        "limit": "trainer_memory_limit_bytes",
        "rank": "swarm_rank",
        "ranked": "swarm_ranked_peers",
        "established": "swarm_established_rank",
        "established_peers": "swarm_established_peers",
        "cumulative": "swarm_reward_cumulative",
        "source_up": 'swarm_source_up{{source="leaderboard"}} {}',
        "polled": 'swarm_source_success_timestamp_seconds{{source="leaderboard"}} {}',
        "nickname": 'trainer_info{{peer_id="QmA",nickname="{}",model="tiny",device="cpu"}} 1',
    }
    lines = ["# TYPE trainer_up gauge", 'sidecar_build_info{version="0"} 1', "trainer_steps_total 12"]
    for name, value in values.items():
        if value is not None:
            sample = samples[name]
            lines.append(sample.format(value) if "{" in sample else f"{sample} {value}")
    return "\n".join(lines) + "\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512  # one server may stand for hundreds of sidecars, which are scraped at once


class Sidecar:
    """A real HTTP server; `page` is what it serves, made again for each scrape."""

    def __init__(self, page: Callable[[], str | bytes] = sidecar_page) -> None:
        self.page = page
        self.status = 200
        self.headers: dict[str, str] = {}
        sidecar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = sidecar.page()
                content = page.encode() if isinstance(page, str) else page
                self.send_response(sidecar.status)
                for name, value in sidecar.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/metrics"

    def serve(self, **changes: float | str | None) -> None:
        """Serves a healthy page with these changes from now on."""
        self.page = lambda: sidecar_page(**changes)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class AlertLoop:
    """`python -m alerts` as a process, on a port of its own choice."""

    folder: Path
    settings: dict[str, Any]
    environment: dict[str, str] | None = None
    process: warm.WarmProcess | None = None
    address: str = ""
    runs: int = field(default=0)

    @property
    def config(self) -> Path:
        return self.folder / "alerts.yaml"

    def start(self) -> None:
        """Starts the process and waits until it logs its address."""
        self.launch()
        self.address = wait_for(self._logged_address, 20, "the loop logs its address", every=0.02)

    def launch(self) -> None:
        self.runs += 1
        self.write_config()
        options = ("--config", str(self.config))
        log = self._log_path
        self.process = warm.start("alerts", *options, out=log, err=log, environment=self.environment)

    def write_config(self) -> None:
        self.config.write_text(yaml.safe_dump(self.settings))

    def output(self) -> str:
        """All that every run has logged."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("run-*.log")))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return get(f"{self.address}{path}", **options)

    def firing(self) -> set[tuple[str, str]]:
        alerts = self.get("/api/status").json()["alerts"]
        return {(alert["rule"], alert["peer"]) for alert in alerts if alert["state"] == "firing"}

    def pending(self) -> int:
        return int(self.get("/api/status").json()["outbox"]["pending"])

    def stop(self) -> int:
        """Ends it as a supervisor does; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=90)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=60)

    @property
    def _log_path(self) -> Path:
        return self.folder / f"run-{self.runs:03}.log"

    def _logged_address(self) -> str:
        assert self.process is not None
        text = self._log_path.read_text(errors="replace")
        assert self.process.poll() is None, f"it exited with {self.process.poll()}:\n{text}"
        found = re.search(r"at (https?://\S+)/: ", text)
        return found[1] if found else ""


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    sidecar = Sidecar()
    yield sidecar
    sidecar.close()


@pytest.fixture
def make_loop(tmp_path: Path) -> Iterator[Callable[..., AlertLoop]]:
    """Makes alert loops that evaluate five times a second; ends them."""
    loops = []

    def make(peers: dict[str, Sidecar], routes: dict[str, str] | None = None, **settings: Any) -> AlertLoop:
        rules = settings.pop("rules", None) or {
            "PeerStalled": {"recover_after": "0s"},
            "MemoryExceeded": {"for": "0s", "recover_after": "0s"},
        }
        loop = AlertLoop(
            tmp_path,
            {
                "fleet": "test",
                "state_dir": str(tmp_path / "state"),
                "listen": f"{LOOPBACK}:0",
                "interval": "0.2s",
                "timeout": "0.5s",
                "grouping": {"wait": "0s", "interval": "0s"},
                # Drawing one takes longer than most of these tests, and an attempt by mail waits for it.
                "charts": False,
                "targets": [{"peer": name, "url": peer.url} for name, peer in peers.items()],
                "routes": [{"name": name, "url": url} for name, url in (routes or {}).items()],
                "rules": OF_NO_MACHINE | rules,
                **settings,
            },
        )
        loops.append(loop)
        return loop

    yield make
    for loop in loops:
        if loop.process is not None and loop.process.poll() is None:
            loop.kill()
