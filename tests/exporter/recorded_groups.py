"""Control groups as machines and containers of several kinds show them, written below a folder that stands for /."""

from collections.abc import Mapping
from pathlib import Path

MIB, GIB = 2**20, 2**30
NO_LIMIT = 9223372036854771712

# systemd on version 2, one mount; docker and Kubernetes with a namespace of their own see themselves at its root.
UNIFIED = "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
# docker without a namespace on version 1: the container's group is what is mounted.
DOCKER_V1 = """\
771 770 0:29 /docker/7c1f /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec master:11 - cgroup cgroup rw,cpu,cpuacct
775 770 0:32 /docker/7c1f /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:15 - cgroup cgroup rw,memory
"""
# systemd's hybrid: the controllers in version 1, the processes' tree in version 2.
HYBRID = """\
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""


def write_tree(root: Path, groups: str, mounts: str, files: Mapping[str, Mapping[str, object]]) -> Path:
    """/proc of a process in `groups`, and the files of each folder below /sys/fs/cgroup."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(groups)
    (root / "proc" / "self" / "mountinfo").write_text(f"24 1 8:1 / / rw - ext4 /dev/sda1 rw\n{mounts}")
    for folder, contents in files.items():
        place = root / "sys" / "fs" / "cgroup" / folder
        place.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (place / name).write_text(f"{content}\n")
    return root


def unified(limit: object = "max", *, used: int = 0, cache: int = 0, **more: object) -> dict[str, object]:
    """A group of version 2; further files by name, with `_` for the dot."""
    return {
        "memory.max": limit,
        "memory.current": used,
        "memory.stat": f"anon {used - cache}\ninactive_file {cache}\nactive_file 0",
        **{name.replace("_", "."): content for name, content in more.items()},
    }


def separate(
    limit: int = NO_LIMIT, *, used: int = 0, cache: int = 0, above: int = NO_LIMIT, memsw: int = NO_LIMIT
) -> dict[str, object]:
    """A group of version 1; `above` is the smallest limit of those around it, which a container does not see."""
    return {
        "memory.limit_in_bytes": limit,
        "memory.usage_in_bytes": used,
        "memory.memsw.limit_in_bytes": memsw,
        "memory.stat": f"inactive_file 5\nhierarchical_memory_limit {min(limit, above)}\n"
        f"hierarchical_memsw_limit {memsw}\ntotal_swap {3 * MIB}\ntotal_inactive_file {cache}",
    }
