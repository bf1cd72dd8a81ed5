"""An accelerator is found by cheap facts, each recorded from a machine that has it."""

import pytest

from exporter.accelerators.presence import find_kind


@pytest.mark.parametrize(
    ("system", "machine", "files", "expected"),
    [
        ("linux", "x86_64", set(), None),
        ("linux", "x86_64", {"/dev/nvidiactl"}, "nvidia"),
        ("linux", "aarch64", {"/proc/driver/nvidia/version"}, "nvidia"),
        ("linux", "x86_64", {"/dev/dxg"}, None),
        ("linux", "x86_64", {"/dev/dxg", "/usr/lib/wsl/lib/libnvidia-ml.so.1"}, "nvidia"),
        ("darwin", "arm64", set(), "apple"),
        ("darwin", "x86_64", set(), None),
    ],
)
def test_an_accelerator_is_found_by_what_its_system_has(
    system: str, machine: str, files: set[str], expected: str | None
) -> None:
    assert find_kind(system=system, machine=lambda: machine, exists=files.__contains__) == expected
