"""Random bytes through the trackers' readers, in a process of its own: bounded memory and time, no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import ROOT

MIB = 1 << 20
MAX_MEMORY_MIB = 50

# Appends pieces to a file and reads after each, starting the file again now and then; prints the peak of its memory.
SCRIPT = """
import os, resource, sys, time
from importlib import import_module
from pathlib import Path
from exporter.progress.record import ReadError

name, file, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
reader = import_module(f"exporter.progress.readers.{name}").Reader(file)
begin = {"wandb": b":W&B\\xe1\\xbe\\0", "trackio": b"SQLite format 3\\0"}.get(name, b"")
noise = [os.urandom(1 << 20) for _ in range(3)] + [b"\\1\\0\\0\\0\\0\\0\\0\\0" * (1 << 17), bytes(1 << 20)]
slowest = records = 0
for number in range(size >> 20):
    with open(file, "wb" if number % 32 == 0 else "ab") as out:
        out.write((begin if number % 32 == 0 else b"") + noise[number % len(noise)])
    started = time.process_time()
    try:
        records += len(reader.read(float(number)))
    except ReadError:
        pass
    slowest = max(slowest, time.process_time() - started)
if sys.platform == "linux":
    # Not what getrusage tells: that begins with the peak of the process that started this one.
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(peak, slowest, records)
"""


def read_noise(name: str, file: Path, size: int) -> tuple[float, float]:
    """Peak memory in MiB, and the processor time of the slowest read in seconds."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name, str(file), str(size)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    peak, slowest, records = map(float, done.stdout.split())
    assert records == 0
    return peak, slowest


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_noise_costs_little(name: str, tmp_path: Path) -> None:
    peak, slowest = read_noise(name, tmp_path / "events.out.tfevents.1.wandb.db", 12 * MIB)
    assert peak < MAX_MEMORY_MIB
    assert slowest < 10.0


@pytest.mark.bench
@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_gigabyte_of_noise_costs_no_more(name: str, tmp_path: Path) -> None:
    peak, slowest = read_noise(name, tmp_path / "events.out.tfevents.1.wandb.db", 1024 * MIB)
    print(f"{name}: 1 GiB of noise, {peak:.0f} MiB at most, slowest read {slowest:.2f} s")
    assert peak < MAX_MEMORY_MIB
