"""The real probe process with a stand-in for NVIDIA's library, whose answers are recorded."""

import ast
import subprocess
from pathlib import Path

import pytest

from exporter.accelerators import presence
from exporter.accelerators.reading import Process, Reading, load
from tests.exporter.accelerators.stand_in import CONSTANTS, GIB, card, command, environment, install

SECOND = card(uuid="GPU-77aa0000-0000", name="NVIDIA L4", bus="00000000:65:00.0", compute=[], shares=[])


def probe(folder: Path) -> Reading:
    done = subprocess.run(command(), env=environment(folder), capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    return load(done.stdout)


def test_a_card_tells_its_load_memory_power_and_processes(tmp_path: Path) -> None:
    install(tmp_path, card(), SECOND)
    first, second = probe(tmp_path).devices
    assert (first.device, first.name, first.problem) == ("GPU-6f2b1c9e", "NVIDIA GeForce RTX 4090", "")
    assert first.values == pytest.approx(
        {
            "utilization_ratio": 0.85,
            "memory_used_bytes": 20 * GIB,
            "memory_total_bytes": 24 * GIB,
            "power_watts": 310.5,
            "power_limit_watts": 450,
            "energy_joules_total": 123456.789,
            "temperature_celsius": 71,
        }
    )
    assert first.throttled == {"power": 1, "thermal": 0, "hardware": 0}
    assert first.processes == (Process(4242, 18 * GIB, 0.7),)
    assert (second.device, second.processes) == ("GPU-77aa0000", ())


def test_what_a_card_does_not_tell_is_left_out(tmp_path: Path) -> None:
    refused = {"error": 3}
    install(
        tmp_path,
        card(samples=refused, utilization=40, power=refused, energy=refused, shares=refused, compute=[[7, None]]),
    )
    (device,) = probe(tmp_path).devices
    assert device.values["utilization_ratio"] == 0.4
    assert not {"power_watts", "energy_joules_total"} & device.values.keys()
    assert device.processes == (Process(7),)


@pytest.mark.parametrize(
    ("changes", "device", "problem"),
    [
        ({"memory": {"error": 15}}, "GPU-6f2b1c9e", "lost"),
        ({"power": {"error": 16}}, "GPU-6f2b1c9e", "reset_required"),
        ({"handle_error": 15}, "", "lost"),
        ({"handle_error": 999}, "", "lost"),
    ],
)
def test_a_card_that_fails_is_no_reason_not_to_ask_the_others(
    tmp_path: Path, changes: dict[str, object], device: str, problem: str
) -> None:
    install(tmp_path, card(**changes), SECOND)
    assert [(one.device, one.problem) for one in probe(tmp_path).devices] == [(device, problem), ("GPU-77aa0000", "")]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(12, "NVIDIA_DRIVER_CAPABILITIES"), (18, "restart the machine"), (4, "/dev/nvidiactl"), (999, "NVML: error 999")],
)
def test_a_library_that_cannot_be_used_says_why(tmp_path: Path, error: int, reason: str) -> None:
    install(tmp_path, error=error)
    reading = probe(tmp_path)
    assert reason in reading.unavailable
    assert reading.devices == ()


def test_a_driver_that_was_unloaded_has_no_cards(tmp_path: Path) -> None:
    install(tmp_path, error=9)
    assert probe(tmp_path)[1:3] == ((), "")


def test_the_kernel_ends_a_probe_that_nobody_waits_for(tmp_path: Path) -> None:
    install(tmp_path, hangs=True)
    done = subprocess.run(command(seconds=1), env=environment(tmp_path), capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (-14, b"\n")


def _names(code: str, of: str) -> set[str]:
    tree = ast.walk(ast.parse(code))
    return {one.attr for one in tree if isinstance(one, ast.Attribute) and getattr(one.value, "id", "") == of}


def test_the_real_library_has_every_name_that_is_asked_for() -> None:
    library = pytest.importorskip("pynvml", reason="nvidia-ml-py is a dependency on Linux only")
    code = Path(presence.__file__).with_name("nvidia.py").read_text()
    asked = {one.value for one in ast.walk(ast.parse(code)) if isinstance(one, ast.Constant)}
    asked = {one for one in asked if isinstance(one, str) and one.startswith("nvmlDeviceGet")} | _names(code, "pynvml")
    assert len(asked) > 15
    assert not [name for name in asked if not hasattr(library, name)]
    used = {one for one in asked if one.isupper()}
    assert {name: CONSTANTS[name] for name in used} == {name: getattr(library, name) for name in used}


def test_without_a_driver_the_real_library_says_so() -> None:
    pytest.importorskip("pynvml", reason="nvidia-ml-py is a dependency on Linux only")
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has a card")
    done = subprocess.run(command(), capture_output=True, check=False, timeout=60)
    assert "libnvidia-ml.so.1 is not here" in load(done.stdout).unavailable
