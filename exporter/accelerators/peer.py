"""What one peer does with the accelerators: the devices that its processes are on, and whether they work there."""

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from exporter.accelerators.presence import Kind, find_kind
from exporter.accelerators.reading import Device, Process, Reading
from exporter.run_folder import find_trainer
from exporter.system.process_identity import is_running
from exporter.system.process_tree import Descendants

# A share of a device's time below this is not work: displays and monitors take so much.
LEAST_WORK = 0.02
# A kernel that waits for other ranks keeps a card at full utilisation and far below its power.
SPIN_UTILIZATION, SPIN_POWER = 0.95, 0.35
# Its crash may be what a lost card does to a trainer.
AFTER_TRAINER_SECONDS = 900.0
# The number of the first PID namespace is fixed in the kernel; a container's own PIDs are not the driver's.
_FIRST_NAMESPACE = "pid:[4026531836]"

# The last answer at a Unix time, if there is one.
Probe = Callable[[float], Reading | None]


class Share(NamedTuple):
    """What a peer's processes have of one device: bytes, and a share of its time; None is not told."""

    memory_bytes: float | None
    utilization: float | None


class PeerReading(NamedTuple):
    """The devices that the peer is on, or all where that is not told; its share of each; and whether it works there.

    `is_busy` is None where nothing tells: an unknown share of a busy device, or a card that spins without power.
    """

    devices: tuple[Device, ...]
    shares: Mapping[str, Share]
    is_busy: bool | None


class PeerAccelerator:
    """Asked by several collectors, it reads once in a collection. Nothing is loaded where there is no accelerator.

    `reports_cpu` says whether the trainer says that it uses the processor only; such a peer has no accelerator.
    """

    def __init__(
        self,
        run_dir: Path,
        reports_cpu: Callable[[float], bool],
        *,
        find_kind: Callable[[], Kind | None] = find_kind,
        open_probe: Callable[[Kind], Probe] | None = None,
    ) -> None:
        self._run_dir = run_dir
        self._reports_cpu = reports_cpu
        self._find_kind = find_kind
        self._open_probe = open_probe or self._open_shared_probe
        self._probe: Probe | None = None
        self._trainer: psutil.Process | None = None
        self._below: Descendants | None = None
        self._trained_at = -AFTER_TRAINER_SECONDS
        self._devices: frozenset[str] = frozenset()
        self._usage = GpuClock()
        self._last: tuple[float, PeerReading | None] | None = None

    def read(self, now: float) -> PeerReading | None:
        """What is known at the Unix time `now`; None where there is no accelerator of this peer. Raises OSError."""
        # One local value: a collector that hung may read for its older collection at the same time.
        last = self._last
        if last is None or last[0] != now:
            last = self._last = now, self._read(now)
        return last[1]

    def _read(self, now: float) -> PeerReading | None:
        if self._probe is None:
            kind = self._find_kind()
            if kind is None:
                return None
            self._probe = self._open_probe(kind)
        if self._reports_cpu(now):
            return None
        pids = self._find_pids()
        if pids:
            self._trained_at = now
        elif not 0 <= now - self._trained_at < AFTER_TRAINER_SECONDS:
            # Asking wakes a sleeping card up.
            return None
        reading = self._probe(now)
        if reading is None:
            return None
        return self._describe(reading, pids if tells_pids() else frozenset())

    def _describe(self, reading: Reading, pids: Collection[int]) -> PeerReading:
        found = {one.device: [process for process in one.processes if process.pid in pids] for one in reading.devices}
        used = frozenset(device for device, processes in found.items() if processes)
        # A lost card lists no processes: what the peer was on it is still on.
        self._devices |= used
        devices = tuple(one for one in reading.devices if not self._devices or one.device in self._devices)
        busy = self._usage.add(reading, pids)
        shares = {
            device: Share(_total([one.memory_bytes for one in processes]), busy.get(device))
            for device, processes in found.items()
            if processes
        }
        return PeerReading(devices, shares, is_busy(devices, shares, found))

    def _find_pids(self) -> frozenset[int]:
        if self._trainer is None or not is_running(self._trainer):
            self._trainer = find_trainer(self._run_dir)
            self._below = Descendants(self._trainer) if self._trainer else None
            self._devices = frozenset()
        if self._trainer is None or self._below is None:
            return frozenset()
        return frozenset([self._trainer.pid, *(one.pid for one in self._below.find())])

    def _open_shared_probe(self, kind: Kind) -> Probe:
        # Only where there is a card: who has none pays nothing for it.
        from exporter.accelerators.shared_probe import SharedProbe, choose_folder, probe_command

        return SharedProbe(choose_folder(self._run_dir), probe_command(kind)).read


class GpuClock:
    """A peer's share of each device's time: as the library tells it, or from two readings of a counter of seconds."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, int], float] = {}
        self._at = 0.0
        self._shares: dict[str, float] = {}

    def add(self, reading: Reading, pids: Collection[int]) -> dict[str, float]:
        """The share by device; the same reading gives the same again."""
        if reading.at == self._at:
            return self._shares
        span, shares = reading.at - self._at, {}
        counters: dict[tuple[str, int], float] = {}
        for device in reading.devices:
            own = [one for one in device.processes if one.pid in pids]
            told = [one.utilization for one in own if one.utilization is not None]
            counted = {(device.device, one.pid): one.busy_seconds for one in own if one.busy_seconds is not None}
            counters |= counted
            grown = [value - self._before[key] for key, value in counted.items() if key in self._before]
            if told:
                shares[device.device] = min(1.0, sum(told))
            elif grown and span > 0:
                shares[device.device] = min(1.0, max(0.0, sum(grown)) / span)
        self._before, self._at, self._shares = counters, reading.at, shares
        return shares


def is_busy(
    devices: Sequence[Device], shares: Mapping[str, Share], own: Mapping[str, Sequence[Process]]
) -> bool | None:
    """Whether the peer is at work on one of its devices; None where nothing tells. Pure."""
    verdicts = [_is_busy(one, shares.get(one.device), own.get(one.device, ())) for one in devices if not one.problem]
    if True in verdicts:
        return True
    return None if None in verdicts or not verdicts else False


def _is_busy(device: Device, share: Share | None, own: Sequence[Process]) -> bool | None:
    utilization = device.values.get("utilization_ratio")
    used = share.utilization if share else None
    if used is None and len(own) == len(device.processes) > 0:
        used = utilization
    if used is None:
        # Of an idle device nobody has a share.
        return False if utilization is not None and utilization < LEAST_WORK else None
    if used < LEAST_WORK:
        return False
    return None if spins(device) else True


def spins(device: Device) -> bool:
    """Whether it is at full utilisation and far below its power, as a kernel that waits for other ranks keeps it."""
    values = device.values
    power, limit = values.get("power_watts"), values.get("power_limit_watts")
    is_full = values.get("utilization_ratio", 0.0) >= SPIN_UTILIZATION
    return is_full and power is not None and bool(limit) and power < SPIN_POWER * (limit or 0.0)


def tells_pids(*, system: str = sys.platform, proc: Path = Path("/proc")) -> bool:
    """Whether the PIDs that the driver names are those of the processes here."""
    if system == "darwin":
        return True
    try:
        return os.readlink(proc / "self" / "ns" / "pid") == _FIRST_NAMESPACE
    except OSError:
        return False


def _total(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) if known else None
