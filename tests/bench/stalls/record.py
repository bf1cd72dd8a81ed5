"""Records runs for the stall benchmark: `python -m tests.bench.stalls.record [NAME …]`, into `recorded/`.

Each is a real run of two to fifteen minutes: the seconds of its steps, and what its processes did every five seconds,
measured as the sidecar measures it. Some hang at the end, in one of the ways that runs hang; what they do then is
recorded too. Needs root for the runs in a memory group and on a small file system.
"""

import contextlib
import datetime
import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from exporter.activity.usage import TreeCounter, Usage, UsageMeter
from exporter.collectors.process import read_cpu_seconds
from exporter.system.process_tree import Descendants
from tests.memory_group import memory_group

FOLDER = Path(__file__).parent / "recorded"
INTERVAL_SECONDS = 5.0
HANG_SECONDS = 45.0
# One process turns, another reads and writes: what a compiler does to its neighbours.
LOAD = "import zlib\ndata = bytes(range(256)) * 4096\nwhile True: zlib.compress(data, 6)"


@dataclass
class Run:
    """A subject, and what is done to it: by name, from a second on, and up to another."""

    about: str
    options: dict[str, Any] = field(default_factory=dict)
    seconds: float = 130.0
    load: tuple[float, float] | None = None
    hang: str = ""
    is_squeezed: bool = False
    disk_megabytes: int = 0


# Steps of about two seconds and of about eight, on a machine that does other work.
SHORT = {"completion": 8, "batch": 4}
LONG = {"size": "20M", "completion": 16, "batch": 8}
# Of longer steps enough that most of them come after the pace and the rests have settled.
LONGER = {"size": "20M", "completion": 48, "batch": 8}
LARGER = {"size": "45M", "completion": 24, "batch": 8}
LONGER_SECONDS = 900.0

RUNS = {
    "tiny_alone": Run("tiny model, nothing else started"),
    "tiny_short_steps": Run("tiny model, short completions", {"completion": 12, "batch": 4}),
    "tiny_beside_load": Run(
        "tiny model, short completions, two processes that compress beside it",
        {"completion": 12, "batch": 4},
        load=(0, 1e9),
    ),
    "tiny_load_comes": Run("tiny model, two processes that compress from second 60 on", load=(60, 1e9)),
    "large_alone": Run("20M weights", {"size": "20M", **SHORT}, 170),
    "large_load_comes_and_goes": Run(
        "20M weights, two processes compress for a minute", {"size": "20M", **SHORT}, 190, (60, 120)
    ),
    "large_saves_and_evaluates": Run(
        "20M weights, a checkpoint every 10 steps, an evaluation every 15",
        {"size": "20M", **SHORT, "save_steps": 10, "eval_steps": 15},
        170,
    ),
    "long_steps": Run("20M weights", LONG, 280),
    "long_steps_load_comes": Run("20M weights, two processes that compress from second 140 on", LONG, 280, (140, 1e9)),
    "long_steps_stopped": Run("20M weights, stopped with SIGSTOP", LONG, 240, hang="stop"),
    "long_steps_deadlock": Run("20M weights, a reward waits for a lock", {**LONG, "hang": "lock"}, 240, hang="ask"),
    "longer_deadlock": Run(
        "20M weights, long completions, a reward waits for a lock",
        {**LONGER, "completion": 64, "hang": "lock"},
        LONGER_SECONDS,
        hang="ask",
    ),
    "longer_saves_and_evaluates": Run(
        "20M weights, a checkpoint every 20 steps, an evaluation every 30, at last a reward never ends",
        {**LONGER, "save_steps": 20, "eval_steps": 30, "hang": "spin"},
        LONGER_SECONDS,
        hang="ask",
    ),
    "longer_stopped_server": Run(
        "20M weights, asks a server before it generates, which computes 0.3 s and is stopped",
        LONGER,
        LONGER_SECONDS,
        hang="server",
    ),
    "larger_stopped": Run("45M weights, stopped with SIGSTOP", LARGER, LONGER_SECONDS, hang="stop"),
    "larger_accumulates": Run(
        "45M weights, four batches a step, two processes compress from second 300 to 600, a reward waits for a lock",
        {**LARGER, "completion": 16, "batch": 4, "accumulate": 4, "hang": "lock"},
        LONGER_SECONDS,
        (300, 600),
        hang="ask",
    ),
    "larger_longer_task": Run(
        "45M weights, completions three times as long from step 60 on, stopped with SIGSTOP",
        {**LARGER, "longer": [60, 72]},
        LONGER_SECONDS,
        hang="stop",
    ),
    "longer_task": Run("tiny model, completions three times as long from step 20 on", {"longer": [20, 120]}),
    "little_memory": Run("tiny model in a memory group that its libraries do not fit into", is_squeezed=True),
    "stopped": Run("tiny model, stopped with SIGSTOP", hang="stop"),
    "large_deadlock": Run(
        "20M weights, a reward waits for a lock", {"size": "20M", **SHORT, "hang": "lock"}, 150, hang="ask"
    ),
    "spinning_reward": Run(
        "20M weights, a reward never ends", {**SHORT, "size": "20M", "hang": "spin"}, 170, hang="ask"
    ),
    "stopped_server": Run(
        "tiny model, asks a server before it generates, which computes 0.3 s and is stopped", hang="server"
    ),
    "full_disk": Run(
        "tiny model, a reward writes a log and tries again when the disk is full",
        {"hang": "write"},
        130,
        hang="fill",
        disk_megabytes=48,
    ),
}


def record(name: str, run: Run) -> None:
    """Runs it and writes the file."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stall-")))
        if run.disk_megabytes:
            stack.enter_context(_small_disk(folder, run.disk_megabytes))
        options = dict(run.options)
        server = stack.enter_context(_server()) if run.hang == "server" else None
        if server:
            options["server"] = server[1]
        process = stack.enter_context(_start(folder, options))
        if run.is_squeezed:
            stack.enter_context(_squeezed(process))
        uses, hang_at = _follow(folder, process, run, server[0] if server else None, stack)
        _write(name, run, folder, uses, hang_at)


def _follow(
    folder: Path,
    process: "subprocess.Popen[bytes]",
    run: Run,
    server: "subprocess.Popen[bytes] | None",
    stack: contextlib.ExitStack,
) -> tuple[list[tuple[float, Usage]], float | None]:
    """What it did, each with the clock, and when it was made to hang."""
    tree, below = psutil.Process(process.pid), Descendants(psutil.Process(process.pid))
    cpu, meter = TreeCounter(), UsageMeter()
    steps = folder / "steps.txt"
    while not (steps.exists() and steps.read_text()):
        assert process.poll() is None, "the run ended"
        time.sleep(0.2)
    begin = float(steps.read_text().split()[0])
    uses: list[tuple[float, Usage]] = []
    hang_at, load, next_at = None, None, time.monotonic()
    while (elapsed := time.monotonic() - begin) < run.seconds + (HANG_SECONDS if run.hang else 0.0):
        time.sleep(max(0.0, next_at - time.monotonic()))
        next_at += INTERVAL_SECONDS
        everyone = [tree, *below.find()]
        if used := meter.measure(everyone, cpu.add(read_cpu_seconds(everyone))):
            uses.append((time.monotonic(), used))
        if run.load and load is None and run.load[0] <= elapsed < run.load[1]:
            load = [stack.enter_context(_program([sys.executable, "-c", LOAD])) for _ in range(2)]
        elif load and run.load and elapsed >= run.load[1]:
            for one in load:
                one.kill()
            load = None
        if run.hang and hang_at is None and elapsed >= run.seconds:
            hang_at = time.monotonic()
            _hang(run.hang, folder, process, server)
    return uses, hang_at


def _hang(how: str, folder: Path, process: "subprocess.Popen[bytes]", server: "subprocess.Popen[bytes] | None") -> None:
    if how == "stop":
        process.send_signal(signal.SIGSTOP)
    elif how == "server":
        assert server
        server.send_signal(signal.SIGSTOP)
    else:
        (folder / "hang").touch()
    if how == "fill":
        with contextlib.suppress(OSError), open(folder / "rest", "wb") as file:
            while True:
                file.write(bytes(1 << 20))
                file.flush()


def _write(name: str, run: Run, folder: Path, uses: list[tuple[float, Usage]], hang_at: float | None) -> None:
    lines = (folder / "steps.txt").read_text().splitlines()
    begin = float(lines[0])
    head = [
        f"# {run.about}; one thread, {datetime.date.today()}, by",
        f"# `python -m tests.bench.stalls.record {name}` on {os.cpu_count()} cores that did other work too.",
        "# A step a line: its seconds generating, training, saving, on anything else. Then a collection a line: the",
        "# second at its end, its length, cores in use, kB moved a second, 1 for a wait for the disk, machine's share,",
        "# 1 where a signal has stopped it.",
    ]
    if hang_at is not None:
        head.append(f"hang {_hung_at(folder, hang_at) - begin:.1f}")
    steps = [" ".join(line.split()[1:]) for line in lines[1:]]
    rows = [
        f"use {at - begin:.1f} {one.seconds:.2f} {one.cores:.3f} {(one.moved or 0.0) / 1e3:.1f} "
        f"{int(one.waits_for_disk)} {one.machine_busy or 0.0:.2f} {int(one.is_stopped)}"
        for at, one in uses
    ]
    (FOLDER / f"{name}.txt").write_text("\n".join([*head, *steps, *rows]) + "\n", encoding="utf-8")


def _hung_at(folder: Path, caused_at: float) -> float:
    """When it hung: it works on, for up to a step, until it asks for what does not come any more."""
    noted = folder / "hung"
    if not noted.exists():
        return caused_at
    return max(caused_at, noted.stat().st_mtime - time.time() + time.monotonic())


@contextlib.contextmanager
def _program(command: list[str], **options: Any) -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def _start(folder: Path, options: dict[str, Any]) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-m", "tests.bench.stalls.subject", str(folder), json.dumps(options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with (
        open(folder.with_suffix(".log"), "wb") as log,
        _program(command, env=environment, stdout=log, stderr=log) as one,
    ):
        yield one
    folder.with_suffix(".log").unlink()


class _Answer(http.server.BaseHTTPRequestHandler):
    """Computes for a while, then answers."""

    def do_GET(self) -> None:
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _server() -> "Iterator[tuple[subprocess.Popen[bytes], str]]":
    command = [sys.executable, "-m", "tests.bench.stalls.record", "--serve"]
    with _program(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield process, process.stdout.readline().decode().strip()


def _serve() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Answer) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


@contextlib.contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "stall", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def _squeezed(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """After a minute its pages do not fit any more: what it reads again comes from the disk."""
    with memory_group(1 << 40) as group:
        (group / "cgroup.procs").write_text(str(process.pid))
        ended = threading.Event()
        squeezer = threading.Thread(target=_squeeze, args=(group, ended.wait))
        squeezer.start()
        try:
            yield
        finally:
            ended.set()
            squeezer.join()
            process.kill()
            process.wait()


def _squeeze(group: Path, wait: Callable[[float], bool]) -> None:
    limit = next(group / name for name in ("memory.max", "memory.limit_in_bytes") if (group / name).exists())
    used = next(group / name for name in ("memory.current", "memory.usage_in_bytes") if (group / name).exists())
    if wait(75.0):
        return
    bytes_left = int(used.read_text())
    while not wait(5.0):
        with contextlib.suppress(OSError):
            bytes_left = int(0.97 * bytes_left)
            limit.write_text(str(bytes_left))


def main(names: list[str]) -> None:
    """Records these, or all."""
    for name in names or RUNS:
        began = time.monotonic()
        record(name, RUNS[name])
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    _serve() if sys.argv[1:] == ["--serve"] else main(sys.argv[1:])
