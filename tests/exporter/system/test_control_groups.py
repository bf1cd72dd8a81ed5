"""Limits are found in control groups of every form, at every level, and nothing else is taken for one."""

from pathlib import Path

import pytest

from exporter.system.control_groups import Mount, find_path, memory_groups, parse_groups, parse_mounts, processor_quota
from tests.exporter.recorded_groups import (
    DOCKER_V1,
    GIB,
    HYBRID,
    MIB,
    NO_LIMIT,
    UNIFIED,
    separate,
    unified,
    write_tree,
)


def limits(root: Path) -> list[int | None]:
    return [group.limit_bytes for group in memory_groups(root=root)]


def test_groups_are_read_by_controller() -> None:
    text = "9:name=systemd:/\n4:memory:/a:b/c\n1:cpu,cpuacct:/x\n0::/user.slice\nbroken\n"
    assert parse_groups(text) == {
        "name=systemd": "/",
        "memory": "/a:b/c",
        "cpu": "/x",
        "cpuacct": "/x",
        "": "/user.slice",
    }


def test_mounts_are_read_with_spaces_in_their_names() -> None:
    text = "35 31 0:32 /a\\040b /sys/fs/c\\040g rw,relatime shared:9 master:1 - cgroup cgroup rw,memory\nbroken - x\n"
    assert parse_mounts(f"{text}1 2 0:3 / / rw - ext4 /dev/sda rw\n") == [
        Mount(frozenset({"rw", "memory"}), "/a b", "/sys/fs/c g")
    ]


@pytest.mark.parametrize(
    ("group", "root", "below"),
    [
        ("/", "/", ""),
        ("/user.slice/a", "/", "user.slice/a"),
        ("/docker/7c1f", "/docker/7c1f", ""),
        ("/docker/7c1f/inner", "/docker/7c1f", "inner"),
        # A group of another name, or outside of what the namespace shows.
        ("/docker/7c1fe", "/docker/7c1f", None),
        ("/../../etc", "/", None),
        ("/", "/../..", None),
    ],
)
def test_a_group_is_looked_for_below_what_is_mounted(group: str, root: str, below: str | None) -> None:
    assert find_path(group, Mount(frozenset({""}), root, "/sys/fs/cgroup")) == below


def test_a_slice_limits_what_is_in_it_and_each_level_is_read(tmp_path: Path) -> None:
    session = "user.slice/user-1000.slice/session-2.scope"
    files = {
        session: unified(),
        "user.slice/user-1000.slice": unified(6 * GIB, used=2 * GIB, cache=GIB, memory_high=5 * GIB),
        "user.slice": unified(8 * GIB, used=3 * GIB),
        ".": {"cgroup.procs": ""},
    }
    root = write_tree(tmp_path, f"0::/{session}\n", UNIFIED, files)
    assert limits(root) == [None, 5 * GIB, 8 * GIB, None]
    assert [group.used_bytes for group in memory_groups(root=root)] == [0, GIB, 3 * GIB, None]
    assert memory_groups(root=root)[1].name == "/sys/fs/cgroup/user.slice/user-1000.slice"


def test_a_container_of_version_2_sees_its_own_group_at_the_root(tmp_path: Path) -> None:
    files = {".": unified(2 * GIB, used=GIB, memory_swap_max=GIB, memory_swap_current=MIB, cpu_max="150000 100000")}
    files["."] |= {"memory.swap.max": GIB, "memory.swap.current": MIB}
    root = write_tree(tmp_path, "0::/\n", UNIFIED, files)
    (group,) = memory_groups(root=root)
    assert (group.limit_bytes, group.used_bytes) == (2 * GIB, GIB)
    assert (group.swap_limit_bytes, group.swap_used_bytes) == (GIB, MIB)
    assert group.pressure == tmp_path / "sys/fs/cgroup/memory.pressure"
    assert processor_quota(root=root) == (1.5, "/sys/fs/cgroup")


def test_a_container_of_version_1_has_its_group_mounted(tmp_path: Path) -> None:
    files = {
        "memory": separate(2 * GIB, used=GIB, cache=256 * MIB, memsw=3 * GIB),
        "cpu,cpuacct": {"cpu.cfs_quota_us": 50000, "cpu.cfs_period_us": 100000},
    }
    groups = "10:memory:/docker/7c1f\n4:cpu,cpuacct:/docker/7c1f\n0::/docker/7c1f\n"
    root = write_tree(tmp_path, groups, DOCKER_V1, files)
    (group,) = memory_groups(root=root)
    assert (group.limit_bytes, group.used_bytes) == (2 * GIB, GIB - 256 * MIB)
    assert (group.swap_limit_bytes, group.swap_used_bytes) == (GIB, 3 * MIB)
    assert processor_quota(root=root) == (0.5, "/sys/fs/cgroup/cpu,cpuacct")


def test_a_limit_around_a_container_of_version_1_counts_though_it_is_not_seen(tmp_path: Path) -> None:
    root = write_tree(tmp_path, "10:memory:/docker/7c1f\n", DOCKER_V1, {"memory": separate(above=3 * GIB)})
    assert limits(root) == [3 * GIB]


def test_a_pod_limits_its_containers(tmp_path: Path) -> None:
    pod = "kubepods.slice/kubepods-burstable.slice/pod1"
    files = {
        f"{pod}/cri-1": unified("max", cpu_max="max 100000"),
        pod: unified(4 * GIB, cpu_max="200000 100000"),
        "kubepods.slice/kubepods-burstable.slice": unified(),
        "kubepods.slice": unified(30 * GIB, cpu_max="800000 100000"),
    }
    root = write_tree(tmp_path, f"0::/{pod}/cri-1\n", UNIFIED, files)
    assert limits(root) == [None, 4 * GIB, None, 30 * GIB, None]
    assert processor_quota(root=root) == (2.0, f"/sys/fs/cgroup/{pod}")


def test_in_a_hybrid_the_controllers_are_those_of_version_1(tmp_path: Path) -> None:
    files = {
        "memory/a": separate(GIB, used=MIB),
        "memory": separate(),
        "cpu,cpuacct/a/b": {"cpu.cfs_quota_us": -1, "cpu.cfs_period_us": 100000},
        "cpu,cpuacct/a": {"cpu.cfs_quota_us": 300000, "cpu.cfs_period_us": 100000},
        "unified/a": {"cgroup.procs": ""},
    }
    root = write_tree(tmp_path, "4:memory:/a\n2:cpu,cpuacct:/a/b\n0::/a\n", HYBRID, files)
    assert limits(root) == [GIB, None]
    assert processor_quota(root=root) == (3.0, "/sys/fs/cgroup/cpu,cpuacct/a")


def test_a_group_that_is_not_shown_is_looked_for_further_up(tmp_path: Path) -> None:
    root = write_tree(tmp_path, "0::/gone/away\n", UNIFIED, {"gone": unified(GIB), ".": {}})
    assert limits(root) == [GIB, None]


def test_the_limit_of_this_container_is_not_that_of_a_process_in_another(tmp_path: Path) -> None:
    root = write_tree(tmp_path, "0::/\n", UNIFIED, {".": unified(GIB)})
    (root / "proc" / "7").mkdir()
    for path, found in (("/", [GIB]), ("/../other", [])):
        (root / "proc" / "7" / "cgroup").write_text(f"0::{path}\n")
        assert [group.limit_bytes for group in memory_groups(7, root=root)] == found


@pytest.mark.parametrize("content", ["max", "", "-1", "0x40", "many", str(NO_LIMIT), "9" * 30, "١٢"])
def test_what_is_no_number_is_no_limit(tmp_path: Path, content: str) -> None:
    root = write_tree(tmp_path, "0::/\n", UNIFIED, {".": unified(content, cpu_max=f"{content} 100000")})
    assert limits(root) == [None]
    if content != str(NO_LIMIT):
        assert processor_quota(root=root) is None


def test_what_cannot_be_read_is_no_limit(tmp_path: Path) -> None:
    root = write_tree(tmp_path, "0::/\n", UNIFIED, {"memory.max": {}, "cpu.max": {}})
    assert limits(root) == [None]
    assert memory_groups(root=tmp_path / "a system without them") == []
    assert processor_quota(root=tmp_path / "a system without them") is None


def test_a_name_in_another_encoding_hides_no_limit(tmp_path: Path) -> None:
    root = write_tree(tmp_path, "0::/\xff\n", UNIFIED, {".": unified(GIB)})
    (root / "proc" / "self" / "cgroup").write_bytes(b"0::/\xff\n")
    mounts = root / "proc" / "self" / "mountinfo"
    mounts.write_bytes(b"41 29 8:17 / /media/caf\xe9 rw - ext4 /dev/sdb1 rw\n" + mounts.read_bytes())
    assert limits(root) == [GIB]
