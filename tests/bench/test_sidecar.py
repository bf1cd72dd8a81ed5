"""The sidecar against Debian's prometheus-node-exporter, scraped alternately, each measured from outside."""

import contextlib
import http.client
import json
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

NODE_EXPORTER = shutil.which("prometheus-node-exporter")
COLLECTORS = ("--collector.disable-defaults", "--collector.cpu", "--collector.meminfo", "--collector.loadavg")
ROUNDS, SCRAPES = 10, 60
# Prometheus scrapes every 15 s by default; the sidecar collects three times meanwhile.
COLLECTIONS_PER_SCRAPE = 3

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(NODE_EXPORTER is None, reason="Debian's prometheus-node-exporter is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

# A trainer that steps, holds memory as torch does, and reports; its Python shares its libraries with the sidecar.
TRAINER = """
import sys, time
from types import SimpleNamespace
from exporter.telemetry import PeerTelemetry
telemetry = PeerTelemetry(sys.argv[1], model="tiny", device="cpu")
telemetry.set_info(peer_id="Qm" + "x" * 44)
telemetry.set_round(3, 1)
print(flush=True)
control = SimpleNamespace(should_save=False, should_evaluate=False)
while True:
    telemetry.on_step_begin(None, None, control)
    time.sleep(0.06)
    telemetry.on_step_end(None, None, control)
    telemetry.on_log(None, None, control, logs={"loss": 1.0, "reward": 0.5, "reward_std": 0.1, "num_tokens": 5})
"""


class Board(BaseHTTPRequestHandler):
    """The leaderboard's answer for every peer."""

    def do_GET(self) -> None:
        body = {
            "id": self.path.rpartition("/")[2],
            "rank": 2,
            "total": 9,
            "cumulative": 31.5,
            "stageReward": 1.5,
            "round": 3,
            "stage": 1,
        }
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


class Exporter:
    """A running exporter: its process, a kept connection, and what its scrapes took."""

    def __init__(self, stack: contextlib.ExitStack, command: list[str], address: str) -> None:
        child = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        stack.callback(child.terminate)
        assert child.stderr
        port = 0
        while not port:
            line = child.stderr.readline()
            assert line, f"{command[0]} ended"
            found = re.search(address, line)
            port = int(found[1]) if found else 0
        threading.Thread(target=child.stderr.read, daemon=True).start()
        self.process = psutil.Process(child.pid)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        stack.callback(self.connection.close)
        self.latencies: list[float] = []
        self.cpu: list[float] = []

    def scrape(self) -> None:
        begin = time.perf_counter()
        self.connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        answer = self.connection.getresponse()
        body = answer.read()
        self.latencies.append(time.perf_counter() - begin)
        assert answer.status == 200
        assert body

    def scrape_round(self) -> None:
        before = self.cpu_seconds()
        for _ in range(SCRAPES):
            self.scrape()
            time.sleep(0.01)
        self.cpu.append((self.cpu_seconds() - before) / SCRAPES)

    def cpu_seconds(self) -> float:
        """Processor time of all threads, to the nanosecond; the usual counters tick in hundredths of a second."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def uss(self) -> float:
        return self.process.memory_full_info().uss / 1e6


@pytest.fixture
def exporters(tmp_path):
    with contextlib.ExitStack() as stack:
        board = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Board))
        threading.Thread(target=board.serve_forever, daemon=True).start()
        stack.callback(board.shutdown)
        trainer = stack.enter_context(
            subprocess.Popen([sys.executable, "-W", "ignore", "-c", TRAINER, tmp_path], stdout=subprocess.PIPE)
        )
        stack.callback(trainer.kill)
        trainer.stdout.readline()
        sidecar = [sys.executable, "-m", "exporter", "--run-dir", str(tmp_path), "--listen", "127.0.0.1:0"]
        sidecar += ["--leaderboard-url", f"http://127.0.0.1:{board.server_port}"]
        node = [NODE_EXPORTER, "--web.listen-address=127.0.0.1:0", *COLLECTORS]
        yield (
            Exporter(stack, sidecar, r"peerwatch sidecar .*:(\d+)/metrics"),
            Exporter(stack, node, r"127\.0\.0\.1:(\d+)"),
        )


def test_the_sidecar_beside_node_exporter(exporters, record):
    subject = "Sidecar beside node_exporter"
    ours, theirs = exporters
    for _ in range(ROUNDS):
        for exporter in exporters:
            exporter.scrape_round()
    collection = measure_collection(ours)

    def note(name, own, other, unit, goal):
        ratio = own / other
        record(subject, name, f"{ratio:.2f} times ({own:.2f} {unit} against {other:.2f} {unit})", f"{goal} times")
        print(json.dumps({"name": f"sidecar {name} ratio", "value": round(ratio, 3), "goal": goal}))
        return ratio

    scrape = 1e3 * statistics.median(ours.cpu), 1e3 * statistics.median(theirs.cpu)
    latency = 1e3 * statistics.median(ours.latencies), 1e3 * statistics.median(theirs.latencies)
    memory = note("USS", ours.uss(), theirs.uss(), "MB", 1.15)
    processor = note("CPU per scrape", *scrape, "ms", 0.5)
    waiting = note("p50 latency", *latency, "ms", 0.5)
    record(subject, "CPU per collection, every 5 s", f"{1e3 * collection:.1f} ms", "")
    whole = scrape[0] + COLLECTIONS_PER_SCRAPE * 1e3 * collection
    record(subject, "CPU per 15 s, scrape and collections", f"{whole:.1f} ms against {scrape[1]:.1f} ms", "")
    assert memory <= 1.15
    assert processor <= 0.5
    assert waiting <= 0.5


def measure_collection(sidecar: Exporter) -> float:
    """Processor seconds of one collection, without scrapes."""
    before = sidecar.cpu_seconds()
    time.sleep(15.0)
    return (sidecar.cpu_seconds() - before) / 3
