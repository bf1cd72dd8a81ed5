"""One answer of all accelerators, as the probe prints it and as the sidecars of one folder share it."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# What a device may tell, as `accelerator_NAME`.
VALUES = (
    "utilization_ratio",
    "memory_used_bytes",
    "memory_total_bytes",
    "power_watts",
    "power_limit_watts",
    "energy_joules_total",
    "temperature_celsius",
)
THROTTLES = ("power", "thermal", "hardware")
# Why a device is no use: no answer in time; not listed any more; what the driver says; a fatal Xid in the kernel's log.
PROBLEMS = ("timed_out", "gone", "lost", "reset_required", "xid")
TIMED_OUT = "timed_out"

MAX_BYTES = 1 << 20
_MAX_DEVICES, _MAX_PROCESSES, _MAX_XIDS, _MAX_TEXT = 64, 4096, 16, 64


class Process(NamedTuple):
    """What a process has of a device: bytes, a share of its time, and seconds of it as a counter; None is not told."""

    pid: int
    memory_bytes: float | None = None
    utilization: float | None = None
    busy_seconds: float | None = None


class Device(NamedTuple):
    """One device; `device` is the short form of its UUID. `xids` are the Unix times of the kernel's log, by number."""

    device: str
    name: str = ""
    problem: str = ""
    values: Mapping[str, float] = {}
    throttled: Mapping[str, float] = {}
    xids: Mapping[str, float] = {}
    processes: tuple[Process, ...] = ()


class Reading(NamedTuple):
    """What a probe found at the Unix time `at`; `unavailable` says in one line why it could find nothing.

    `taken_at` is when a sidecar took it; for all of them, as it has one clock of collections.
    `known` are the names of the devices that answered since the machine was started, `boot` tells which start.
    """

    at: float
    devices: tuple[Device, ...] = ()
    unavailable: str = ""
    known: Mapping[str, str] = {}
    boot: str = ""
    taken_at: float = 0.0


def dump(reading: Reading) -> bytes:
    """The reading as JSON."""
    devices = [one._asdict() | {"processes": [list(process) for process in one.processes]} for one in reading.devices]
    return json.dumps(reading._asdict() | {"devices": devices}).encode()


def load(content: bytes) -> Reading:
    """The reading that somebody wrote; what is malformed in it is left out. Raises ValueError where it is none."""
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict) or (at := _number(found.get("at"))) is None:
        raise ValueError("no reading of accelerators")
    taken = _number(found.get("taken_at")) or 0.0
    devices = [_device(one) for one in _list(found.get("devices"))[:_MAX_DEVICES] if isinstance(one, dict)]
    known = {_text(device): _text(name) for device, name in _entries(found.get("known"))[:_MAX_DEVICES]}
    return Reading(at, tuple(devices), _text(found.get("unavailable"), 200), known, _text(found.get("boot")), taken)


def complete(found: Reading, before: Reading | None, *, boot: str, now: float) -> Reading:
    """The reading as it is taken now, with devices that answered since the machine was started and are missing."""
    known = dict(before.known) if before is not None and before.boot == boot else {}
    listed = {one.device for one in found.devices}
    # Of a device that cannot be opened, the library does not say which one it is.
    nameless = [one for one in found.devices if not one.device]
    missing = [] if found.unavailable else [device for device in known if device not in listed]
    devices = [one for one in found.devices if one.device]
    for number, device in enumerate(missing):
        problem = nameless[min(number, len(nameless) - 1)].problem if nameless else "gone"
        devices.append(Device(device, known[device], problem))
    if not missing:
        devices += [one._replace(device="unknown") for one in nameless[:1]]
    known |= {one.device: one.name for one in found.devices if one.device and not one.problem}
    return found._replace(devices=tuple(devices), known=known, boot=boot, taken_at=now)


def no_answer(at: float, before: Reading | None, *, boot: str) -> Reading:
    """The reading of a probe that was given up: nobody knows which of the devices keeps it."""
    silent = Reading(at, (Device("", problem=TIMED_OUT),))
    return complete(silent, before, boot=boot, now=at)


def _device(found: Mapping[str, Any]) -> Device:
    problem = _text(found.get("problem"))
    processes = (_process(one) for one in _list(found.get("processes"))[:_MAX_PROCESSES] if isinstance(one, list))
    return Device(
        _text(found.get("device")),
        _text(found.get("name")),
        problem if problem in PROBLEMS else "",
        _numbers(found.get("values"), VALUES),
        _numbers(found.get("throttled"), THROTTLES),
        {
            number: at
            for number, value in _entries(found.get("xids"))[:_MAX_XIDS]
            if number.isdecimal() and len(number) <= 4 and (at := _number(value)) is not None
        },
        tuple(one for one in processes if one is not None),
    )


def _process(fields: list[Any]) -> Process | None:
    if len(fields) != len(Process._fields) or type(fields[0]) is not int or not 0 < fields[0] < 1 << 32:
        return None
    return Process(fields[0], *map(_number, fields[1:]))


def _numbers(found: object, names: Iterable[str]) -> dict[str, float]:
    entries = dict(_entries(found))
    return {name: value for name in names if (value := _number(entries.get(name))) is not None}


def _number(value: object) -> float | None:
    """A finite number, not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _text(value: object, longest: int = _MAX_TEXT) -> str:
    return "".join(one for one in value[:longest] if one.isprintable()) if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _entries(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
