"""A real control group with a memory limit, for tests of what happens at it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from exporter.system.control_groups import memory_groups
from tests.programs import go_without


@contextlib.contextmanager
def memory_group(limit_bytes: int) -> Iterator[Path]:
    """A group below this process's own, of the version that this system has; its processes must end before it does."""
    groups = memory_groups()
    parent = Path(groups[0].name) if groups else Path("/sys/fs/cgroup")
    group = parent / f"test-{os.getpid()}"
    limit = "memory.max" if (parent / "cgroup.controllers").exists() else "memory.limit_in_bytes"
    try:
        group.mkdir()
    except OSError:
        go_without("needs root and control groups, to limit a process")
    try:
        try:
            (group / limit).write_text(str(limit_bytes))
        except OSError:
            go_without("needs the memory controller in this process's control group")
        yield group
    finally:
        group.rmdir()
