"""Serves the samples of many healthy peers from one process: `many_sidecars.py COUNT` prints the ports as JSON.

The page is a whole sidecar's: every series of the contract, with the help texts. Its peers step every few seconds and
may be silent for two minutes.
"""

import asyncio
import json
import sys
import time

from prometheus_client import CollectorRegistry, generate_latest

from exporter.metrics import ALL, STATES, STEP_BUCKETS, Family, Sample, families, histogram

LABELS = {"kind": "footprint", "source": "leaderboard", "collector": "textfile", "version": "0"}
# Times that stand for now, for some seconds ago, and for the start of the phase; the other values do not change.
TIMES = {
    "trainer_last_step_timestamp_seconds": 1111111111.5,
    "swarm_source_success_timestamp_seconds": 1111111111.5,
    "swarm_last_publish_timestamp_seconds": 1111111111.5,
    "trainer_phase_start_timestamp_seconds": 1222222222.5,
    "trainer_start_timestamp_seconds": 1333333333.5,
}
# What grows with every step.
STEPS = 1444444.5
GROWING = (
    "trainer_steps_total",
    "trainer_tokens_total",
    "trainer_cpu_seconds_total",
    "swarm_reward_cumulative",
    "swarm_reward_stage",
)
STEP_SECONDS = 3.0
FIXED = {
    "swarm_connected_peers": 3.0,
    "swarm_ranked_peers": 5.0,
    "trainer_stall_after_seconds": 120.0,
    "trainer_memory_bytes": 2e9,
    "trainer_memory_limit_bytes": 8e9,
}
STILL = {"swarm_publish_failures_total": 0.0, "trainer_nonfinite_steps_total": 0.0, "swarm_round_lag": 0.0}
VALUES = {**TIMES, **dict.fromkeys(GROWING, STEPS), **FIXED, **STILL}


class Page:
    """Every series of the contract."""

    def collect(self) -> list[Family]:
        samples = []
        for metric in ALL:
            if metric.name == "trainer_state":
                samples += [Sample(metric.name, {"trainer_state": name}, float(name == "training")) for name in STATES]
            elif metric.kind == "histogram":
                samples += histogram(metric.name, STEP_BUCKETS, [7] * len(STEP_BUCKETS), 1234.5)
            else:
                labels = {name: LABELS.get(name, "x" * 40) for name in metric.labels}
                samples.append(Sample(metric.name, labels, VALUES.get(metric.name, 1.0)))
        return families(samples)


def make_page() -> bytes:
    """The page as a template: its times are to be replaced."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Page())
    return generate_latest(registry)


class Sidecar(asyncio.Protocol):
    """Answers every request with the page, and keeps the connection."""

    def __init__(self, template: bytes, started: float) -> None:
        # prometheus_client writes numbers from a million on with an exponent.
        self.template = template.replace(b"1.3333333335e+09", b"%.2f" % (started - 100))
        self.template = self.template.replace(b"1.2222222225e+09", b"%.2f" % (started - 50))
        self.started = started
        self.request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.request += data
        if self.request.endswith(b"\r\n\r\n"):
            self.request = b""
            page = self.template.replace(b"1.1111111115e+09", b"%.2f" % (time.time() - STEP_SECONDS))
            page = page.replace(b"1.4444445e+06", b"%.0f" % ((time.time() - self.started) // STEP_SECONDS + 100))
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n"
            self.transport.write(head % len(page) + page)  # type: ignore[attr-defined]


async def serve(count: int) -> None:
    """Serves until the process is ended."""
    loop, template, started = asyncio.get_running_loop(), make_page(), time.time()
    assert template.count(b"1.1111111115e+09") == 3
    servers = [await loop.create_server(lambda: Sidecar(template, started), "127.0.0.1", 0) for _ in range(count)]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
