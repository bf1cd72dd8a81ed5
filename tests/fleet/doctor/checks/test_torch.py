"""Missing packages, a broken torch and a device that is not there are named."""

import sys
from collections.abc import Callable
from pathlib import Path

from fleet.doctor.checks.torch import judge_devices
from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages

CPU = {"version": "2.13.0", "cuda": 0, "mps": False, "for_cuda": False}


def test_packages_that_are_missing_are_a_failure(examine: Examine, make_python: Callable[[str], str]) -> None:
    # Without its site folders the interpreter has the standard library alone.
    python = make_python(f'exec {sys.executable} -I -S "$@"')
    found = messages(examine("torch", python=python), Level.FAILURE)
    assert "not installed: torch, transformers, trl, hivemind" in found
    assert "pip install 'peerwatch[trainer]'" in found


def test_a_torch_that_does_not_load_is_a_failure(
    examine: Examine, make_python: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "torch.py").write_text("raise ImportError('libomp.dylib is missing')\n")
    python = make_python(f'PYTHONPATH={tmp_path / "broken"} exec {sys.executable} "$@"')
    found = messages(examine("torch", python=python), Level.FAILURE)
    assert "torch cannot be loaded: ImportError: libomp.dylib is missing" in found


def test_a_device_that_is_not_there_is_a_failure() -> None:
    found = messages(list(judge_devices(CPU, {"cuda", "cpu"}, "linux")), Level.FAILURE)
    assert "a peer is set to device cuda: torch was built without it" in found


def test_a_mac_without_metal_is_a_warning() -> None:
    assert "trains on the CPU" in messages(list(judge_devices(CPU, {"auto"}, "darwin")), Level.WARNING)


def test_a_mac_with_metal_is_ok() -> None:
    facts = CPU | {"mps": True}
    assert [one.message for one in judge_devices(facts, {"auto"}, "darwin")] == ["torch 2.13.0, devices: cpu, mps"]
