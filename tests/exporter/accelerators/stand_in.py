"""A stand-in for NVIDIA's library: a module `pynvml` that the real probe process loads, with recorded answers.

There is no card here; what the stand-in answers is written down from nvidia-smi and NVML's manual, in NVML's own units.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

GIB = 2**30

CONSTANTS = {
    "NVML_ERROR_NO_PERMISSION": 4,
    "NVML_ERROR_DRIVER_NOT_LOADED": 9,
    "NVML_ERROR_LIBRARY_NOT_FOUND": 12,
    "NVML_ERROR_GPU_IS_LOST": 15,
    "NVML_ERROR_RESET_REQUIRED": 16,
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": 18,
    "NVML_TEMPERATURE_GPU": 0,
    "NVML_GPU_UTILIZATION_SAMPLES": 1,
}
_ANSWERS = """
import json, signal, time
from pathlib import Path
from types import SimpleNamespace

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())
with open(Path(__file__).with_name("loaded"), "a") as loaded:
    loaded.write("x")


class NVMLError(Exception):
    def __init__(self, value):
        super().__init__(f"error {value}")
        self.value = value


def nvmlInit():
    if RECORDED.get("hangs"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
        time.sleep(60)
    if RECORDED.get("error"):
        raise NVMLError(RECORDED["error"])


def nvmlDeviceGetCount():
    return len(RECORDED["devices"])


def nvmlDeviceGetHandleByIndex(index):
    if "handle_error" in RECORDED["devices"][index]:
        raise NVMLError(RECORDED["devices"][index]["handle_error"])
    return RECORDED["devices"][index]


def answer(name):
    def ask(device, *_):
        value = device.get(name, {"error": 3})
        if isinstance(value, dict) and "error" in value:
            raise NVMLError(value["error"])
        return value
    return ask


def objects(name, keys):
    def ask(device, *_):
        return [SimpleNamespace(**dict(zip(keys, one))) for one in answer(name)(device)]
    return ask


nvmlDeviceGetUUID, nvmlDeviceGetName = answer("uuid"), answer("name")
nvmlDeviceGetPowerUsage, nvmlDeviceGetEnforcedPowerLimit = answer("power"), answer("power_limit")
nvmlDeviceGetTotalEnergyConsumption, nvmlDeviceGetTemperature = answer("energy"), answer("temperature")
nvmlDeviceGetCurrentClocksEventReasons = answer("reasons")
nvmlDeviceGetComputeRunningProcesses = objects("compute", ("pid", "usedGpuMemory"))
nvmlDeviceGetGraphicsRunningProcesses = objects("graphics", ("pid", "usedGpuMemory"))


def nvmlDeviceGetProcessUtilization(device, since):
    shares = answer("shares")(device)
    return [SimpleNamespace(pid=pid, smUtil=sm, timeStamp=since + 1) for pid, sm in shares]


def nvmlDeviceGetSamples(device, kind, since):
    samples = answer("samples")(device)
    return 1, [SimpleNamespace(timeStamp=since + 1, sampleValue=SimpleNamespace(uiVal=one)) for one in samples]


def nvmlDeviceGetUtilizationRates(device):
    return SimpleNamespace(gpu=answer("utilization")(device))


def nvmlDeviceGetMemoryInfo(device):
    return SimpleNamespace(**dict(zip(("used", "total"), answer("memory")(device))))


def nvmlDeviceGetPciInfo(device):
    return SimpleNamespace(busId=answer("bus")(device))
"""

LIBRARY = "".join(f"{name} = {value}\n" for name, value in CONSTANTS.items()) + _ANSWERS


def card(**changes: Any) -> dict[str, Any]:
    """An RTX 4090 at work for process 4242, as its driver describes it."""
    return {
        "uuid": "GPU-6f2b1c9e-1d3c-4b5a-9e8f-0123456789ab",
        "name": "NVIDIA GeForce RTX 4090",
        "bus": "00000000:01:00.0",
        "memory": [20 * GIB, 24 * GIB],
        "samples": [80, 100, 90, 70],
        "power": 310_500,
        "power_limit": 450_000,
        "energy": 123_456_789,
        "temperature": 71,
        "reasons": 0x4,
        "compute": [[4242, 18 * GIB]],
        "shares": [[4242, 80], [4242, 60]],
        **changes,
    }


def install(folder: Path, *devices: dict[str, Any], **changes: Any) -> None:
    """Writes the library with its answers into a folder, from which `environment` makes a probe load it."""
    folder.mkdir(exist_ok=True)
    (folder / "pynvml.py").write_text(LIBRARY)
    (folder / "recorded.json").write_text(json.dumps({"devices": devices, **changes}))


def loads(folder: Path) -> int:
    """How often a process has loaded it."""
    path = folder / "loaded"
    return len(path.read_text()) if path.exists() else 0


def environment(folder: Path) -> dict[str, str]:
    """What makes a process find the stand-in before any other library of that name."""
    return os.environ | {"PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore"}


def command(kind: str = "nvidia", seconds: int = 30) -> list[str]:
    """The real probe."""
    return [sys.executable, "-P", "-m", "exporter.accelerators.probe", kind, str(seconds)]
