"""The control groups that a process is in, and the limits that they set on it: Linux, version 1, 2, or both at once.

A limit of any group above counts too, as far up as the system shows: a container sees its own group as the topmost.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")
# In /proc/PID/cgroup the one hierarchy of version 2 has no controllers' names.
_UNIFIED = ""
# Version 1 writes "no limit" as the largest number of whole pages.
_NO_LIMIT = 1 << 60


class Mount(NamedTuple):
    """A mounted hierarchy: `root` is the group that is seen at `point`."""

    controllers: frozenset[str]
    root: str
    point: str


class Group(NamedTuple):
    """The memory of one control group, in bytes; None is no limit, or not told.

    `used_bytes` is without the page cache that the kernel would drop first. `pressure` is the group's own pressure
    stall information.
    """

    name: str
    limit_bytes: int | None = None
    used_bytes: int | None = None
    swap_limit_bytes: int | None = None
    swap_used_bytes: int | None = None
    pressure: Path | None = None


def memory_groups(pid: int | None = None, *, root: Path = ROOT) -> list[Group]:
    """The groups that account for a process's memory, its own first. Empty where there are none."""
    is_unified, folders = _folders("memory", pid, root)
    return [(_read_unified if is_unified else _read_separate)(folder, root) for folder in folders]


def find_oom_events(pid: int, *, root: Path = ROOT) -> Path | None:
    """The file that counts what the kernel killed for memory in a process's own group; None where there is none."""
    is_unified, folders = _folders("memory", pid, root)
    # Version 2 counts groups below in memory.events, and what a group above set off too.
    names = ("memory.events.local", "memory.events") if is_unified else ("memory.oom_control",)
    paths = [folders[0] / name for name in names] if folders else []
    return next((path for path in paths if read_oom_kills(path) is not None), None)


def read_oom_kills(path: Path) -> int | None:
    """How often the kernel killed for memory, in a file that `find_oom_events` found."""
    return _read_stat(path).get("oom_kill")


def processor_quota(*, root: Path = ROOT) -> tuple[float, str] | None:
    """(processors that this process may keep busy at most, the group that says so); None without such a limit."""
    is_unified, folders = _folders("cpu", None, root)
    quotas = []
    for folder in folders:
        quota, period = _cpu_max(folder) if is_unified else _cfs_quota(folder)
        if quota is not None and period is not None and quota > 0 and period > 0:
            quotas.append((quota / period, _name(folder, root)))
    return min(quotas, default=None)


def parse_groups(text: str) -> dict[str, str]:
    """The group by controller in /proc/PID/cgroup; that of version 2 by the empty name."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, colon, rest = line.partition(":")
        controllers, second, path = rest.partition(":")
        if colon and second:
            groups |= dict.fromkeys(controllers.split(","), path)
    return groups


def parse_mounts(text: str) -> list[Mount]:
    """The mounted hierarchies in /proc/self/mountinfo."""
    mounts = []
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if not dash or len(left) < 6 or len(right) < 3 or right[0] not in ("cgroup", "cgroup2"):
            continue
        controllers = right[2].split(",") if right[0] == "cgroup" else [_UNIFIED]
        mounts.append(Mount(frozenset(controllers), _unescape(left[3]), _unescape(left[4])))
    return mounts


def find_path(group: str, mount: Mount) -> str | None:
    """The group's path below the mount's point; None where it is not below, as that of another container."""
    root = mount.root.rstrip("/")
    if ".." in group.split("/") or not (group == root or group.startswith(f"{root}/")):
        return None
    return group[len(root) :].strip("/")


def _folders(controller: str, pid: int | None, root: Path) -> tuple[bool, list[Path]]:
    """(whether they are of version 2, the folders from the process's own group up to the mount's point)."""
    try:
        groups = parse_groups(_read_names(root / "proc" / ("self" if pid is None else str(pid)) / "cgroup"))
        mounts = parse_mounts(_read_names(root / "proc" / "self" / "mountinfo"))
    except OSError:
        return False, []
    for name in (controller, _UNIFIED):
        found = [mount for mount in mounts if name in mount.controllers]
        if name in groups and found:
            chains = [_chain(groups[name], mount, root, is_own=pid is None) for mount in found]
            return name == _UNIFIED, max(chains, key=len)
    return False, []


def _chain(group: str, mount: Mount, root: Path, *, is_own: bool) -> list[Path]:
    below = find_path(group, mount)
    if below is None and not is_own:
        return []
    # What is mounted for this process limits it, even if its group goes by another name there.
    point = root / mount.point.lstrip("/")
    folder = point / (below or "")
    # Unlike Path.is_dir, this does not raise for a folder that may not be looked into.
    while folder != point and not os.path.isdir(folder):
        folder = folder.parent
    between = len(folder.parts) - len(point.parts)
    return [folder, *list(folder.parents)[:between]]


def _read_unified(folder: Path, root: Path) -> Group:
    """Above memory.high a process is slowed until it hardly runs, so that it limits as memory.max does."""
    stat = _read_stat(folder / "memory.stat")
    return Group(
        _name(folder, root),
        _smallest(_number(folder / "memory.high"), _number(folder / "memory.max")),
        _without_cache(_number(folder / "memory.current"), stat.get("inactive_file")),
        _number(folder / "memory.swap.max"),
        _number(folder / "memory.swap.current"),
        folder / "memory.pressure",
    )


def _read_separate(folder: Path, root: Path) -> Group:
    stat = _read_stat(folder / "memory.stat")
    # Also that of groups above which a container does not see.
    limit = _smallest(_number(folder / "memory.limit_in_bytes"), stat.get("hierarchical_memory_limit"))
    both = _smallest(_number(folder / "memory.memsw.limit_in_bytes"), stat.get("hierarchical_memsw_limit"))
    return Group(
        _name(folder, root),
        limit,
        _without_cache(_number(folder / "memory.usage_in_bytes"), stat.get("total_inactive_file")),
        max(0, both - limit) if both is not None and limit is not None else None,
        stat.get("total_swap"),
    )


def _cpu_max(folder: Path) -> tuple[int | None, int | None]:
    words = _read(folder / "cpu.max").split()
    return (_whole(words[0]), _whole(words[1])) if len(words) == 2 else (None, None)


def _cfs_quota(folder: Path) -> tuple[int | None, int | None]:
    return _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")


def _smallest(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)


def _without_cache(used: int | None, inactive_file: int | None) -> int | None:
    return None if used is None else max(0, used - (inactive_file or 0))


def _name(folder: Path, root: Path) -> str:
    return f"/{folder.relative_to(root)}"


def _read_stat(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _read(path).splitlines())
    return dict(_entries(pairs))


def _entries(pairs: Iterator[list[str]]) -> Iterator[tuple[str, int]]:
    for pair in pairs:
        value = _whole(pair[1]) if len(pair) == 2 else None
        if value is not None:
            yield pair[0], value


def _number(path: Path) -> int | None:
    return _whole(_read(path).strip())


def _whole(text: str) -> int | None:
    """None for `max`, -1 and whatever else is no number of bytes or microseconds."""
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text) else None


def _read(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text()
    return ""


def _read_names(path: Path) -> str:
    """A file with names in it, of groups or of disks that are mounted, in whatever encoding. Raises OSError."""
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def _unescape(text: str) -> str:
    """mountinfo writes spaces and the like as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
