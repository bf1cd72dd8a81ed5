"""Feeds a reader, in a process of its own, whatever a writer of the test writes; tells what the reader took for it."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.architecture import ROOT

# Reads once for each line that it gets; anything but ReadError is a traceback, and ends it.
READ = """
import json, resource, sys, time
from pathlib import Path
from exporter.progress.readers import make_reader
from exporter.progress.record import ReadError

name, options = sys.argv[1], json.loads(sys.argv[2])
if name == "prometheus":
    from exporter.progress.readers.prometheus import Reader

    class Client:
        def get(self, url):
            return 200, "text/plain", Path("page").read_bytes()

    reader = Reader("http://x/", client=Client())
else:
    reader = make_reader(name, options, Path())
began, count, slowest = time.process_time(), 0, 0.0
for line in sys.stdin:
    started = time.process_time()
    try:
        count += len(reader.read(float(line)))
    except ReadError:
        pass
    slowest = max(slowest, time.process_time() - started)
    print(flush=True)
if sys.platform == "linux":  # What getrusage tells there may be of the process that started this one.
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([peak, time.process_time() - began, slowest, count]))
"""
BEGAN_AT, SECONDS_APART = 1_800_000_000.0, 5.0


class Figures(NamedTuple):
    """Peak memory in bytes, processor seconds of all calls and of the slowest, records found."""

    peak: int
    cpu: float
    slowest: float
    records: int


class Writer(Protocol):
    """Writes what a reader reads in the folder that it was made for."""

    def write(self, number: int) -> int:
        """Writes for the call of this number, about a megabyte or more; returns how many bytes."""

    def close(self) -> None: ...


class Source(NamedTuple):
    """A reader, its options, and who writes what it reads."""

    reader: str
    options: Mapping[str, str]
    make_writer: Callable[[Path], Writer]


def feed(folder: Path, source: Source, size: int) -> Figures:
    """Has at least `size` bytes written, and read after each part."""
    command = [sys.executable, "-c", READ, source.reader, json.dumps(source.options)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    errors = folder / "stderr"
    with (
        errors.open("wb") as told,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told
        ) as child,
        contextlib.closing(source.make_writer(folder)) as writer,
    ):
        assert child.stdin
        assert child.stdout
        written = number = 0
        while written < size:
            written += writer.write(number)
            number += 1
            child.stdin.write(f"{BEGAN_AT + SECONDS_APART * number}\n".encode())
            child.stdin.flush()
            assert child.stdout.readline(), errors.read_text()[-2000:]
        child.stdin.close()
        answer = child.stdout.readline()
    assert child.returncode == 0
    assert errors.read_text() == ""
    return Figures(*json.loads(answer))
