"""The machine of a plan: this one as it is read, or another as given."""

import contextlib
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import psutil

from exporter.system.footprint import measure
from exporter.system.machine import Cores, read_cores, read_memory
from fleet.doctor.trainers import find_trainers
from fleet.processes.leftovers import below

GIB = 2**30
Device = Literal["cpu", "mps", "cuda"]

# Assumed use by the system and other programs on a machine that cannot be read.
ASSUMED_USE = {"darwin": 4 * GIB, "linux": 1 * GIB}
# Metal's recommendedMaxWorkingSetSize, seen as two thirds of the memory up to 36 GiB and three quarters above.
METAL_SHARE, METAL_SHARE_LARGE, METAL_LARGE = 2 / 3, 3 / 4, 36 * GIB


@dataclass(frozen=True)
class Host:
    """Bytes, and cores. `accelerator_bytes` is the limit for tensors; None if they are in main memory."""

    system: str
    device: Device
    memory_bytes: float
    cores: int
    used_bytes: float
    used_origin: str
    has_swap: bool
    disk_free_bytes: float | None = None
    accelerator_bytes: float | None = None
    accelerator_origin: str = ""
    is_here: bool = False
    memory_origin: str = "as given"
    cores_origin: str = "as given"


def here(device: str, disk: Path) -> Host:
    """This machine; `device` is cpu, mps, cuda or auto, `disk` a folder on the disk of the fleet's files."""
    chosen = _present_device() if device == "auto" else cast("Device", device)
    ours = sum(_footprint_of(one.pid) for one in find_trainers())
    memory, cores = read_memory(), read_cores()
    used = max(0.0, memory.total_bytes - memory.available_bytes - ours)
    origin = "measured now" + (", less the running trainers" if ours else "")
    accelerator, accelerator_origin = _accelerator(chosen, memory.total_bytes)
    return Host(
        system=sys.platform,
        device=chosen,
        memory_bytes=memory.total_bytes,
        cores=cores.count,
        used_bytes=used,
        used_origin=origin,
        has_swap=memory.swap_total_bytes > 0,
        disk_free_bytes=_disk_free(disk),
        accelerator_bytes=accelerator,
        accelerator_origin=accelerator_origin,
        is_here=True,
        memory_origin=memory.origin,
        cores_origin=_origin_of(cores),
    )


def elsewhere(
    device: str, memory_bytes: float, cores: int, *, disk_bytes: float | None = None, card_bytes: float | None = None
) -> Host:
    """Another machine: a Mac where the device is mps, else Linux without swap."""
    chosen = cast("Device", "cpu" if device == "auto" else device)
    system = "darwin" if chosen == "mps" else "linux"
    name = "macOS with a desktop" if system == "darwin" else "Linux without a desktop"
    limit = metal_limit(memory_bytes) if chosen == "mps" else card_bytes if chosen == "cuda" else None
    return Host(
        system=system,
        device=chosen,
        memory_bytes=memory_bytes,
        cores=cores,
        used_bytes=ASSUMED_USE[system],
        used_origin=f"assumed for {name}",
        has_swap=system == "darwin",
        disk_free_bytes=disk_bytes,
        accelerator_bytes=limit,
        accelerator_origin="Metal's working set, by its usual share"
        if chosen == "mps"
        else "as given"
        if limit
        else "",
    )


def metal_limit(memory_bytes: float, wired_limit_mib: int = 0) -> float:
    """Bytes that Metal may wire: what the owner set (`iogpu.wired_limit_mb`), else the usual share of the memory."""
    if wired_limit_mib > 0:
        return wired_limit_mib * 2**20
    return memory_bytes * (METAL_SHARE if memory_bytes <= METAL_LARGE else METAL_SHARE_LARGE)


def headroom(host: Host) -> tuple[float, str]:
    """(bytes to leave free, why)."""
    if host.system == "darwin":
        return 0.1 * host.memory_bytes, "a tenth: macOS compresses and swaps long before memory is full"
    if host.has_swap:
        return max(GIB / 2, 0.05 * host.memory_bytes), "a twentieth: there is swap for a moment's excess"
    return max(
        GIB / 2, 0.1 * host.memory_bytes
    ), "a tenth: without swap, the kernel kills a process at the first excess"


def _present_device() -> Device:
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cuda" if shutil.which("nvidia-smi") else "cpu"


def _accelerator(device: Device, memory_bytes: float) -> tuple[float | None, str]:
    if device == "mps":
        limit = _number_from("sysctl", "-n", "iogpu.wired_limit_mb") or 0
        return metal_limit(memory_bytes, limit), "set as iogpu.wired_limit_mb" if limit else "Metal's working set"
    if device == "cuda":
        free = _number_from("nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits", "--id=0")
        return (free * 2.0**20, "free on card 0 now, by nvidia-smi") if free else (None, "")
    return None, ""


def _number_from(*command: str) -> int | None:
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
        return int(output.strip())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _origin_of(cores: Cores) -> str:
    return f"{cores.origin}; {cores.fast} of them are performance cores" if cores.fast else cores.origin


def _footprint_of(pid: int) -> float:
    total = 0.0
    for process in below(pid):
        with contextlib.suppress(psutil.Error):
            total += measure(process).bytes
    return total


def _disk_free(folder: Path) -> float | None:
    place = next((one for one in (folder, *folder.parents) if one.exists()), None)
    try:
        return float(shutil.disk_usage(place).free) if place else None
    except OSError:
        return None
