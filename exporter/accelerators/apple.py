"""What macOS tells of an Apple chip's GPU without root: `ioreg`. Power and temperature need root there."""

import plistlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from exporter.accelerators.reading import Device, Process, Reading

# The user clients, one for each program that has the GPU open, are the second level.
COMMAND = ("/usr/sbin/ioreg", "-a", "-r", "-d", "2", "-c", "IOAccelerator")
_PERCENT = 100.0
_CREATOR = re.compile(r"^pid (\d{1,9})\b")
_VALUES = {
    "utilization_ratio": ("Device Utilization %", 1 / _PERCENT),
    "memory_used_bytes": ("In use system memory", 1.0),
}


def read(now: float) -> Reading:
    """The GPU at the Unix time `now`."""
    try:
        done = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        return Reading(now, unavailable=f"{COMMAND[0]}: {error.strerror}")
    return Reading(now, tuple(parse(done.stdout)))


def parse(content: bytes) -> Iterator[Device]:
    """The devices in ioreg's property list; none where it is none."""
    try:
        entries = plistlib.loads(content)
    except (ValueError, plistlib.InvalidFileException):
        return
    except Exception as error:
        # plistlib passes on what its XML parser raises.
        if type(error).__name__ != "ExpatError":
            raise
        return
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        statistics = entry.get("PerformanceStatistics") if isinstance(entry, dict) else None
        if isinstance(statistics, dict):
            yield Device(
                f"apple-{number}",
                _name(entry.get("model")),
                values=dict(_read_values(statistics)),
                processes=tuple(_read_processes(entry.get("IORegistryEntryChildren"))),
            )


def _read_values(statistics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, (key, factor) in _VALUES.items():
        value = statistics.get(key)
        if isinstance(value, int | float):
            yield name, value * factor


def _read_processes(clients: object) -> Iterator[Process]:
    """GPU time by process: the sum of its clients, in nanoseconds there."""
    seconds: dict[int, float] = {}
    for client in clients if isinstance(clients, list) else ():
        creator = _CREATOR.match(str(client.get("IOUserClientCreator"))) if isinstance(client, dict) else None
        usage = client.get("AppUsage") if creator else None
        if creator and isinstance(usage, list):
            times = (one.get("accumulatedGPUTime") for one in usage if isinstance(one, dict))
            spent = sum(time for time in times if isinstance(time, int)) / 1e9
            seconds[int(creator[1])] = seconds.get(int(creator[1]), 0.0) + spent
    return (Process(pid, busy_seconds=spent) for pid, spent in sorted(seconds.items()))


def _name(model: object) -> str:
    return model.decode(errors="replace").rstrip("\0") if isinstance(model, bytes) else str(model or "Apple GPU")
