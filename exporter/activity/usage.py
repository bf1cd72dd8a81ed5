"""What a process tree did between two collections: processor time, bytes moved, a wait for a disk."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import psutil

# A shorter time tells the clock tick more than the trainer.
LEAST_SECONDS = 1.0


class Usage(NamedTuple):
    """What a process tree did on average since the collection before, `seconds` ago.

    `moved` are bytes read and written a second, None where the system does not tell (macOS, processes of another user);
    `machine_busy` is the share of all processors in use by anybody; `accelerator_busy` whether an accelerator of the
    trainer computes, by the power it draws, None where that is not known; `is_stopped` whether the trainer was stopped
    by a signal, and goes on at none but another one.
    """

    seconds: float
    cores: float
    moved: float | None = None
    waits_for_disk: bool = False
    machine_busy: float | None = None
    accelerator_busy: bool | None = None
    is_stopped: bool = False


class TreeCounter:
    """A counter of a process tree: it does not fall when one of the processes ends."""

    def __init__(self) -> None:
        self._seen: Mapping[Hashable, float] = {}
        self._total = 0.0

    def add(self, values: Mapping[Hashable, float]) -> float:
        """Adds the counters of the live processes, by their identity; returns the total so far."""
        self._total += sum(max(0.0, value - self._seen.get(process, 0.0)) for process, value in values.items())
        self._seen = values
        return self._total


class UsageMeter:
    """Measures a tree at each collection; of one too soon after another nothing is told, and the next covers both."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._moved = TreeCounter()
        self._before: tuple[float, float, float | None, tuple[float, float] | None] | None = None

    def measure(
        self, tree: Sequence[psutil.Process], cpu_seconds: float, *, accelerator_busy: bool | None = None
    ) -> Usage | None:
        """`cpu_seconds` is the processor time of the tree so far, as a counter."""
        now = self._clock()
        if self._before is not None and now - self._before[0] < LEAST_SECONDS:
            return None
        moved = read_moved(tree)
        total = None if moved is None else self._moved.add(moved)
        machine = read_machine()
        before, self._before = self._before, (now, cpu_seconds, total, machine)
        if before is None:
            return None
        seconds, status = now - before[0], read_status(tree[0])
        return Usage(
            seconds,
            max(0.0, cpu_seconds - before[1]) / seconds,
            None if total is None or before[2] is None else (total - before[2]) / seconds,
            # A sleep that only a device ends, which no system but Linux tells.
            status == psutil.STATUS_DISK_SLEEP,
            _share(before[3], machine),
            accelerator_busy,
            status == psutil.STATUS_STOPPED,
        )


def read_moved(tree: Sequence[psutil.Process]) -> dict[Hashable, float] | None:
    """Bytes that each process has read and written, pages from swap among them; None where that is not told of one."""
    found: dict[Hashable, float] = {}
    for process in tree:
        try:
            counters: Any = process.io_counters()  # type: ignore[attr-defined, unused-ignore]
            found[process] = float(max(counters.read_chars, counters.read_bytes) + counters.write_chars)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        except (psutil.Error, AttributeError, NotImplementedError, OSError, RuntimeError, ValueError):
            return None
    return found


def read_status(process: psutil.Process) -> str:
    """The run state of a process, one of psutil's; empty where it cannot be read."""
    try:
        return str(process.status())
    except psutil.Error:
        return ""


def read_machine() -> tuple[float, float] | None:
    """Seconds that all processors together were in use, and all that there were; None where that cannot be read."""
    try:
        times = psutil.cpu_times()
    except (OSError, RuntimeError):
        return None
    # Guests are counted in user and nice already.
    whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return whole - times.idle - getattr(times, "iowait", 0.0), whole


def _share(before: tuple[float, float] | None, now: tuple[float, float] | None) -> float | None:
    if before is None or now is None or now[1] <= before[1]:
        return None
    return min(1.0, max(0.0, (now[0] - before[0]) / (now[1] - before[1])))
