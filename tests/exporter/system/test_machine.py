"""What this machine has is the smallest of hardware, control groups and affinity."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from exporter.system.control_groups import Group
from exporter.system.machine import (
    Cores,
    Hardware,
    Limit,
    decide_cores,
    decide_memory,
    read_cores,
    read_hardware,
    read_limit,
    read_memory,
)
from tests.exporter.recorded_groups import GIB, MIB, UNIFIED, unified, write_tree
from tests.memory_group import memory_group

HARDWARE = Hardware(64 * GIB, 40 * GIB, 8 * GIB, GIB, cores=16, affinity=16)


def test_without_limits_the_hardware_decides() -> None:
    memory = decide_memory(HARDWARE, [Group("/a"), Group("/", used_bytes=GIB)])
    assert (memory.total_bytes, memory.available_bytes, memory.limit) == (64 * GIB, 40 * GIB, None)
    assert (memory.swap_total_bytes, memory.swap_used_bytes, memory.origin) == (8 * GIB, GIB, "read")


def test_the_tightest_group_gives_the_total_and_the_fullest_what_is_left() -> None:
    groups = [Group("/a/b", 4 * GIB, GIB), Group("/a", 6 * GIB, 5 * GIB + 512 * MIB), Group("/", None, 20 * GIB)]
    memory = decide_memory(HARDWARE, groups)
    assert memory.limit == Limit(4 * GIB, "limit of control group /a/b")
    assert (memory.total_bytes, memory.available_bytes) == (4 * GIB, 512 * MIB)


def test_no_more_is_left_than_the_hardware_has() -> None:
    memory = decide_memory(HARDWARE._replace(available_bytes=GIB), [Group("/a", 4 * GIB, GIB)])
    assert memory.available_bytes == GIB
    over = decide_memory(HARDWARE, [Group("/a", 4 * GIB, 5 * GIB)])
    assert over.available_bytes == 0


@pytest.mark.parametrize("used", [0, None])
def test_a_group_that_does_not_tell_its_use_is_empty(used: int | None) -> None:
    assert decide_memory(HARDWARE, [Group("/a", 4 * GIB, used)]).available_bytes == 4 * GIB


def test_a_limit_beyond_the_hardware_is_none() -> None:
    # lxcfs shows a container its limit as the hardware; WSL2 and virtual machines have only that much.
    for limit in (64 * GIB, 65 * GIB):
        assert decide_memory(HARDWARE, [Group("/a", limit, GIB)]).limit is None


@pytest.mark.parametrize(
    ("group", "total", "used"),
    [
        # docker run --memory=4g --memory-swap=6g; the same with --memory-swap=4g; a version without swap accounting.
        (Group("/a", 4 * GIB, GIB, 2 * GIB, MIB), 2 * GIB, MIB),
        (Group("/a", 4 * GIB, GIB, 0, 0), 0, 0),
        (Group("/a", 4 * GIB, GIB), 8 * GIB, GIB),
    ],
)
def test_the_swap_is_what_the_group_may_use_of_it(group: Group, total: int, used: int) -> None:
    memory = decide_memory(HARDWARE, [group])
    assert (memory.swap_total_bytes, memory.swap_used_bytes) == (total, used)


def test_pressure_is_read_of_the_groups_that_limit() -> None:
    groups = [
        Group("/a/b", pressure=Path("/1")),
        Group("/a", GIB, pressure=Path("/2")),
        Group("/", pressure=Path("/3")),
    ]
    assert decide_memory(HARDWARE, groups).pressure_files == (Path("/2"),)


@pytest.mark.parametrize(
    ("affinity", "quota", "count", "origin"),
    [
        (16, None, 16, "read"),
        (None, None, 16, "read"),
        (4, None, 4, "this process's affinity"),
        (4, (8.0, "/a"), 4, "this process's affinity"),
        (4, (1.5, "/a"), 1, "CPU quota of 1.5 in control group /a"),
        (16, (0.25, "/a"), 1, "CPU quota of 0.25 in control group /a"),
        (16, (32.0, "/a"), 16, "read"),
    ],
)
def test_cores_are_the_smallest_of_all(
    affinity: int | None, quota: tuple[float, str] | None, count: int, origin: str
) -> None:
    assert decide_cores(HARDWARE._replace(affinity=affinity), quota) == Cores(count, origin)


def test_a_mac_tells_its_performance_cores() -> None:
    assert decide_cores(Hardware(16 * GIB, 8 * GIB, 0, 0, cores=10, fast_cores=4), None) == Cores(10, "read", 4)


def test_what_is_decided_is_what_is_read(tmp_path: Path) -> None:
    hardware = read_hardware()
    assert hardware.memory_bytes == psutil.virtual_memory().total
    group = unified(64 * MIB, used=32 * MIB, cache=16 * MIB, cpu_max="20000 100000")
    root = write_tree(tmp_path, "0::/\n", UNIFIED, {".": group})
    assert read_memory(root=root).available_bytes == 48 * MIB
    assert read_cores(root=root).count == 1
    (tmp_path / "proc" / "7").symlink_to("self")
    assert read_limit(7, root=root) == Limit(64 * MIB, "limit of control group /sys/fs/cgroup")
    assert read_limit(8, root=root) is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux has affinities")
def test_an_affinity_counts() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
    assert _ask(code)["cores"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has control groups")
def test_a_real_group_limits_a_real_process() -> None:
    with memory_group(512 * MIB) as group:
        told = _ask(f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))")
    assert told["total"] == 512 * MIB
    assert 0 < told["available"] < 512 * MIB
    assert str(group) in told["origin"]


def _ask(before: str) -> dict[str, int]:
    """What a process of its own says of the machine, once it has run `before`."""
    code = f"""
import json
{before}
from exporter.system.machine import read_cores, read_memory
memory = read_memory()
print(json.dumps(dict(total=memory.total_bytes, available=memory.available_bytes, origin=memory.origin,
                      cores=read_cores().count)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    told: dict[str, int] = json.loads(ran.stdout)
    return told
