"""Asks NVIDIA's management library. Only the probe's own process may import this: the library may never return."""

from collections.abc import Iterable, Mapping
from typing import Any

import pynvml

from exporter.accelerators.reading import Device, Process, Reading
from exporter.accelerators.xids import FATAL, RECENT_SECONDS, Xid, parse_slot

# The utilisation is that of so many seconds: one sample of it covers a fraction of a second.
SPAN_SECONDS = 15.0
_MOST_DEVICES = 64
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
_POWER, _THERMAL, _HARDWARE = 0x4, 0x20 | 0x40, 0x8 | 0x80


def read(now: float, xids: Iterable[Xid] = ()) -> Reading:
    """All devices at the Unix time `now`."""
    try:
        pynvml.nvmlInit()
        count = min(pynvml.nvmlDeviceGetCount(), _MOST_DEVICES)
    except pynvml.NVMLError as error:
        if error.value == pynvml.NVML_ERROR_DRIVER_NOT_LOADED:
            return Reading(now)
        return Reading(now, unavailable=_explain(error))
    errors = list(xids)
    return Reading(now, tuple(_read_device(index, now, errors) for index in range(count)))


def _explain(error: Any) -> str:
    remedies = {
        pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "libnvidia-ml.so.1 is not here: in a container, set "
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the driver was updated and the old one still runs: restart the "
        "machine",
        pynvml.NVML_ERROR_NO_PERMISSION: "this user may not use /dev/nvidiactl",
    }
    return remedies.get(error.value, f"NVML: {error}")


def _read_device(index: int, now: float, xids: list[Xid]) -> Device:
    device, name = "", ""
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        device, name = _shorten(pynvml.nvmlDeviceGetUUID(handle)), _text(pynvml.nvmlDeviceGetName(handle))
        own = _xids_of(handle, xids)
        problem = "xid" if any(one.number in FATAL and one.age_seconds < RECENT_SECONDS for one in own) else ""
        return Device(
            device,
            name,
            problem,
            dict(_read_values(handle, now)),
            _read_throttles(handle),
            {str(one.number): now - one.age_seconds for one in own[-8:]},
            tuple(_read_processes(handle, now)),
        )
    except pynvml.NVMLError as error:
        problem = "reset_required" if error.value == pynvml.NVML_ERROR_RESET_REQUIRED else "lost"
        return Device(device, name, problem)


def _ask(name: str, *arguments: object) -> Any:
    """What a function of the library says; None where this card, driver or library has no answer to it.

    Raises NVMLError where the card has failed.
    """
    try:
        return getattr(pynvml, name)(*arguments)
    except AttributeError:
        return None
    except pynvml.NVMLError as error:
        if error.value in (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED):
            raise
        return None


def _read_values(handle: object, now: float) -> Iterable[tuple[str, float]]:
    memory = _ask("nvmlDeviceGetMemoryInfo", handle)
    found: Mapping[str, tuple[Any, float]] = {
        "utilization_ratio": (_read_utilization(handle, now), 1.0),
        "memory_used_bytes": (memory and memory.used, 1.0),
        "memory_total_bytes": (memory and memory.total, 1.0),
        "power_watts": (_ask("nvmlDeviceGetPowerUsage", handle), 1e-3),
        "power_limit_watts": (_ask("nvmlDeviceGetEnforcedPowerLimit", handle), 1e-3),
        "energy_joules_total": (_ask("nvmlDeviceGetTotalEnergyConsumption", handle), 1e-3),
        "temperature_celsius": (_ask("nvmlDeviceGetTemperature", handle, pynvml.NVML_TEMPERATURE_GPU), 1.0),
    }
    return ((name, factor * value) for name, (value, factor) in found.items() if value is not None)


def _read_utilization(handle: object, now: float) -> float | None:
    """The mean of the last seconds; of one short moment where the driver keeps no samples, as on WSL."""
    since = int(1e6 * (now - SPAN_SECONDS))
    samples = _ask("nvmlDeviceGetSamples", handle, pynvml.NVML_GPU_UTILIZATION_SAMPLES, since)
    values = [one.sampleValue.uiVal for one in samples[1] if one.timeStamp >= since] if samples else []
    if values:
        return float(sum(values)) / len(values) / 100
    rates = _ask("nvmlDeviceGetUtilizationRates", handle)
    return rates.gpu / 100 if rates else None


def _read_throttles(handle: object) -> dict[str, float]:
    reasons = _ask("nvmlDeviceGetCurrentClocksEventReasons", handle)
    if reasons is None:
        # Its name in earlier releases.
        reasons = _ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    masks = {"power": _POWER, "thermal": _THERMAL, "hardware": _HARDWARE}
    return {} if reasons is None else {name: float(bool(reasons & mask)) for name, mask in masks.items()}


def _read_processes(handle: object, now: float) -> Iterable[Process]:
    busy: dict[int, list[int]] = {}
    since = int(1e6 * (now - SPAN_SECONDS))
    for sample in _ask("nvmlDeviceGetProcessUtilization", handle, since) or ():
        if sample.timeStamp >= since:
            busy.setdefault(sample.pid, []).append(sample.smUtil)
    held: dict[int, float | None] = {}
    for name in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
        for process in _ask(name, handle) or ():
            held[process.pid] = process.usedGpuMemory
    for pid in sorted(held.keys() | busy.keys()):
        shares = busy.get(pid)
        yield Process(pid, held.get(pid), sum(shares) / len(shares) / 100 if shares else None)


def _xids_of(handle: object, xids: list[Xid]) -> list[Xid]:
    """This card's errors, the last of each number, the latest last."""
    address = _ask("nvmlDeviceGetPciInfo", handle) if xids else None
    slot = parse_slot(_text(address.busId)) if address else None
    latest = {one.number: one for one in sorted(xids, key=lambda one: -one.age_seconds) if one.slot == slot}
    return sorted(latest.values(), key=lambda one: -one.age_seconds)


def _shorten(uuid: object) -> str:
    """GPU-6f2b1c9e-... by its first part, as people name cards."""
    return "-".join(_text(uuid).split("-")[:2])


def _text(value: object) -> str:
    """Earlier releases of the library answer in bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
