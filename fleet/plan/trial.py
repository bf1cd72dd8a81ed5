"""Runs real peers for some steps, in a swarm of their own and a temporary folder, and measures them."""

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Self

import psutil

from exporter.collectors import CollectError
from exporter.collectors.process import Collector
from exporter.config import SidecarConfig
from exporter.files import yaml_text
from exporter.metrics import Sample
from exporter.system.footprint import read_shared_files
from exporter.textfile_reader import read, value_of
from fleet.processes.owner import OWNER_VARIABLE, owned_by
from fleet.processes.programs import trainer_environment
from trainer.swarm.identity import ensure_identity

# The first steps also fill caches and let the allocator grow.
WARM_UP_STEPS = 2
# A trial ends long before; the trainer needs some limit.
_LAST_STEP = 5000
_STEP_LINE = re.compile(rb"^step=\d+ .*\bseconds=(\d+(?:\.\d+)?)", re.MULTILINE)
# A sample looks through every mapping of a peer, at its cost; what a start needs lasts for longer than this.
_STARTING_SAMPLE_SECONDS = 0.5
_READ_BYTES = 2**20
_LEADER_SECONDS = 180.0


class TrialError(Exception):
    """The peers cannot run; one line for the user."""


@dataclass
class Seen:
    """Measurements of one peer: seconds of its steps, peak footprint and peak accelerator memory in bytes.

    A single peer's footprint is its footprint on an otherwise idle machine.
    """

    step_seconds: list[float] = field(default_factory=list)
    peak_bytes: float = 0.0
    accelerator_bytes: float = 0.0


@dataclass(frozen=True)
class Span:
    """How long a trial goes on: at least so many steps of each peer and so many seconds, and never beyond a limit."""

    steps: int = 6
    seconds: float = 10.0
    limit_seconds: float = 900.0


class Trial:
    """A context with `peers` trainers; none of their processes outlives it."""

    def __init__(self, settings: Mapping[str, Any], folder: Path, *, peers: int, threads: int) -> None:
        self._settings, self._folder, self._threads = settings, folder, threads
        self._owner = secrets.token_hex(16)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._guard: subprocess.Popen[bytes] | None = None
        self._run_dirs = [folder / f"peer-{index}" for index in range(peers)]
        self._collectors = [Collector.configured(SidecarConfig(run_dir=run_dir)) for run_dir in self._run_dirs]
        self._offsets = [0] * peers
        self._busy_from: tuple[float, float, float] | None = None
        self.seen = [Seen() for _ in self._run_dirs]
        # Cores kept busy while it was measured: by other programs, and by the peers together.
        self.others_cores = self.own_cores = 0.0

    def __enter__(self) -> Self:
        ports = _free_ports(len(self._run_dirs))
        leader_address = ""
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "fleet.plan.guard", self._owner], stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            for index, run_dir in enumerate(self._run_dirs):
                run_dir.mkdir(parents=True)
                peer_id = ensure_identity(run_dir / "identity.pem")
                joins = [leader_address] if leader_address else []
                leader_address = leader_address or f"/ip4/127.0.0.1/tcp/{ports[0]}/p2p/{peer_id}"
                self._start(index, {"port": ports[index], "leader": index == 0, "initial_peers": joins})
                if index == 0 and len(ports) > 1:
                    self._wait_for_leader(ports[0])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """SIGKILL at once: there is nothing to save, and a checkpoint may be large."""
        for process in self._processes:
            process.kill()
        for left in owned_by(self._owner):
            with contextlib.suppress(psutil.Error):
                left.kill()
        for process in self._processes:
            process.wait()
        if self._guard is not None:
            self._guard.communicate()

    def run(self, span: Span, on_progress: Callable[[float], None], *, sample_seconds: float) -> list[Seen]:
        """Watches the peers until each has shown enough; `on_progress` takes the part done, 0 to 1.

        Steps count once every peer has warmed up, so that all are measured at full load. Raises TrialError.
        """
        began = time.monotonic()
        measured_from: float | None = None
        next_sample = 0.0
        while True:
            now = time.monotonic()
            self._check(now - began, span)
            self._read_steps()
            if now >= next_sample:
                self._sample()
                pause = max(sample_seconds, _STARTING_SAMPLE_SECONDS) if measured_from is None else sample_seconds
                next_sample = time.monotonic() + pause
            if measured_from is None and all(len(one.step_seconds) >= WARM_UP_STEPS for one in self.seen):
                measured_from = now
                self._busy_from = self._busy(now)
                for one in self.seen:
                    one.step_seconds.clear()
            if measured_from is not None:
                fewest = min(len(one.step_seconds) for one in self.seen)
                done = min(fewest / span.steps, (now - measured_from) / max(span.seconds, 1e-3))
                on_progress(min(1.0, done))
                if done >= 1:
                    self.others_cores, self.own_cores = self._cores_in_use(now)
                    return self.seen
            time.sleep(0.02)

    def _wait_for_leader(self, port: int) -> None:
        """The others join through it, and give up if it does not answer. Raises TrialError."""
        began = time.monotonic()
        while (seconds := time.monotonic() - began) < _LEADER_SECONDS:
            self._check_alive()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=2).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise TrialError(f"the first trial peer does not listen on port {port} after {seconds:.0f} s")

    def _busy(self, now: float) -> tuple[float, float, float]:
        """(time, processor seconds of the whole machine so far, those of the peers) in seconds."""
        times = psutil.cpu_times()
        everything = sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq"))
        ours = 0.0
        for process in (psutil.Process(), *owned_by(self._owner)):
            with contextlib.suppress(psutil.Error):
                spent = process.cpu_times()
                ours += spent.user + spent.system
        return now, everything, ours

    def _cores_in_use(self, now: float) -> tuple[float, float]:
        """(by other programs, by the peers and their measurement)."""
        assert self._busy_from is not None
        spans = zip(self._busy(now), self._busy_from, strict=True)
        seconds, everything, ours = (after - before for after, before in spans)
        return (max(0.0, (everything - ours) / seconds), max(0.0, ours / seconds)) if seconds > 0 else (0.0, 0.0)

    def _shared_with_others(self) -> float:
        """Libraries that other programs of the moment share with a single peer; several peers share them rightly."""
        return read_shared_files(self._processes[0].pid) if len(self._processes) == 1 else 0.0

    def _start(self, index: int, swarm: dict[str, Any]) -> None:
        run_dir = self._run_dirs[index]
        grpo = {**self._settings.get("grpo", {}), "max_steps": _LAST_STEP}
        settings = {
            **self._settings,
            "grpo": grpo,
            "name": run_dir.name,
            "run_dir": str(run_dir),
            "swarm": {"host": "127.0.0.1", **swarm},
            # One endless stage: no peer waits for another, and nothing is saved.
            "steps_per_stage": 10**9,
            "max_rounds": None,
            "save_interval_seconds": 1e9,
        }
        config = run_dir / "trainer.yaml"
        config.write_text(yaml_text.dump(settings))
        environment = os.environ | trainer_environment(self._threads, sys.platform)
        environment[OWNER_VARIABLE] = f"{self._owner}/peer"
        with (run_dir / "trainer.log").open("wb") as log:
            # A session of its own: Ctrl-C reaches the trial, which then ends the peers.
            process = subprocess.Popen(
                [sys.executable, "-m", "trainer", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self._processes.append(process)

    def _check_alive(self) -> None:
        for process, run_dir in zip(self._processes, self._run_dirs, strict=False):
            if process.poll() is not None:
                raise TrialError(f"a trial peer {_end_of(process.returncode)}: {_last_line(run_dir / 'trainer.log')}")

    def _check(self, seconds: float, span: Span) -> None:
        self._check_alive()
        if seconds > span.limit_seconds:
            slowest = min(len(one.step_seconds) for one in self.seen)
            raise TrialError(
                f"the trial timed out after {seconds:.0f} s with {slowest} steps of the slowest peer; "
                "give it more time with --measure-limit"
            )

    def _read_steps(self) -> None:
        for index, run_dir in enumerate(self._run_dirs):
            with (run_dir / "trainer.log").open("rb") as log:
                log.seek(self._offsets[index])
                text = log.read(_READ_BYTES)
            # A line that is still being written is read next time.
            whole = text[: text.rfind(b"\n") + 1]
            self._offsets[index] += len(whole)
            self.seen[index].step_seconds += [float(seconds) for seconds in _STEP_LINE.findall(whole)]

    def _sample(self) -> None:
        for collector, run_dir, seen in zip(self._collectors, self._run_dirs, self.seen, strict=True):
            for reading in _collect(collector):
                if reading.name == "trainer_memory_bytes" and reading.labels["kind"] == "footprint":
                    seen.peak_bytes = max(seen.peak_bytes, reading.value + self._shared_with_others())
            with contextlib.suppress(OSError, ValueError):
                held = value_of(read(run_dir), "trainer_accelerator_memory_bytes")
                seen.accelerator_bytes = max(seen.accelerator_bytes, held or 0.0)


def steps_per_second(seen: list[Seen]) -> float:
    """Of all peers together; medians, so that a hiccup of the machine does not decide."""
    return sum(1 / median(one.step_seconds) for one in seen)


def _collect(collector: Collector) -> Sequence[Sample]:
    try:
        return collector.collect(time.time())
    except CollectError as error:
        return error.samples


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _end_of(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, most likely out of memory"
    return f"ended with code {code}"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
