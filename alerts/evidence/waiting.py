"""What a trainer's processes wait for, as far as the system tells: a socket, a file, a disk. Facts, no guesses.

Nothing here touches a file of the trainer, as its file system may be what hangs.
"""

import contextlib
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from alerts.evidence.redact import redact
from alerts.evidence.sockets import PROC, Connection, find_connections, list_files
from alerts.i18n.translatable import Text, say
from exporter.run_folder import find_trainer

MAX_PROCESSES = 64
MAX_LINES = 3
SECONDS = 0.3
MAX_PATH = 80
# With less, nothing of a trainer's can be written.
FULL_BYTES = 16 << 20
_STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "ceph", "fuse.ceph", "lustre", "beegfs", "9p", "afs")

# System calls that wait for one descriptor, their first argument; and others that wait. <asm/unistd.h>
_ON_DESCRIPTOR = {
    "x86_64": {
        0: "read",
        1: "write",
        19: "readv",
        20: "writev",
        44: "sendto",
        45: "recvfrom",
        46: "sendmsg",
        47: "recvmsg",
    },
    "aarch64": {
        63: "read",
        64: "write",
        65: "readv",
        66: "writev",
        206: "sendto",
        207: "recvfrom",
        211: "sendmsg",
        212: "recvmsg",
    },
}
_OTHERS = {
    "x86_64": {
        7: "poll",
        23: "select",
        61: "wait4",
        202: "futex",
        232: "epoll_wait",
        247: "waitid",
        270: "pselect6",
        271: "ppoll",
        281: "epoll_pwait",
    },
    "aarch64": {22: "epoll_pwait", 72: "pselect6", 73: "ppoll", 95: "waitid", 98: "futex", 260: "wait4"},
}


# Kernel functions in which a thread waits for a TCP socket, as /proc/PID/wchan names them.
_SOCKET_WAITS = ("wait_woken", "sk_wait_data", "tcp_recvmsg_locked", "sk_stream_wait_memory", "inet_wait_for_connect")


class Call(NamedTuple):
    """The system call, or else the kernel function, that a thread waits in; `descriptor` where it waits for one."""

    name: str
    descriptor: int | None = None


class Mount(NamedTuple):
    """A mounted file system."""

    point: str
    device: str
    kind: str

    @property
    def is_remote(self) -> bool:
        return self.kind in _NETWORK


def describe_waiting(run_dir: Path) -> list[str]:
    """Sentences about the trainer of a run folder and its children; takes little more than `SECONDS`."""
    trainer = find_trainer(run_dir)
    if trainer is None or _status(trainer.pid) in _STOPPED:
        return []
    tree = list_tree(trainer)
    pids = [process.pid for process in tree]
    connections = find_connections(pids, seconds=SECONDS)
    calls = {pid: call for pid in pids if (call := read_call(pid))}
    mounts = list_mounts()
    lines = describe_connections(
        connections, calls, {one.owner: _status(one.owner) for one in connections if one.owner}
    )
    if not lines and trainer.pid in calls:
        lines = [_describe_call(trainer.pid, calls[trainer.pid])]
    return [*lines[:MAX_LINES], *_describe_stuck(tree, mounts), *_describe_disks([run_dir, *_folders(trainer)], mounts)]


def list_tree(trainer: psutil.Process) -> list[psutil.Process]:
    """The trainer and its children, within bounds."""
    try:
        return [trainer, *trainer.children(recursive=True)][:MAX_PROCESSES]
    except psutil.Error:
        return [trainer]


def describe_connections(
    connections: Sequence[Connection], calls: dict[int, Call], statuses: dict[int, str]
) -> list[Text]:
    """What is waited for first: a socket that a call is about, an answer of a process that is stopped.

    `statuses` are those of the owners, by their PIDs.
    """
    count = Counter(one.pid for one in connections)
    pids = set(count)
    waiting, others = [], []
    for one in connections:
        status = statuses.get(one.owner, "") if one.owner else ""
        end = _describe_end(one, status)
        if not one.is_open:
            waiting.append(say("Process {pid} waits for a connection to {end}.", pid=one.pid, end=end))
        elif status in _STOPPED or _is_about(calls.get(one.pid), one, is_only=count[one.pid] == 1):
            waiting.append(say("Process {pid} waits for {end}.", pid=one.pid, end=end))
        elif one.owner not in pids:
            others.append(say("Process {pid} is connected to {end}.", pid=one.pid, end=end))
    waiting, others = list(dict.fromkeys(waiting)), list(dict.fromkeys(others))
    # Many connections tell nothing: a node of a swarm has dozens.
    return waiting or (others if len(others) <= MAX_LINES else [])


def _is_about(call: Call | None, connection: Connection, *, is_only: bool) -> bool:
    """Whether a process's call waits for this connection; a kernel function does not tell for which."""
    if call is None or call.descriptor is not None:
        return call is not None and call.descriptor == connection.descriptor
    return is_only and call.name in _SOCKET_WAITS


def _describe_end(connection: Connection, status: str) -> str:
    address, pid = str(connection.remote), connection.owner
    if pid is None:
        return address
    if status == psutil.STATUS_STOPPED:
        return say("{address} (process {pid}, stopped by a signal)", address=address, pid=pid)
    if status == psutil.STATUS_TRACING_STOP:
        return say("{address} (process {pid}, stopped by a debugger)", address=address, pid=pid)
    if status == psutil.STATUS_DISK_SLEEP:
        return say("{address} (process {pid}, in uninterruptible sleep)", address=address, pid=pid)
    return say("{address} (process {pid})", address=address, pid=pid)


def _describe_call(pid: int, call: Call) -> Text:
    if call.descriptor is None:
        return say("Process {pid} waits in the kernel: {call}.", pid=pid, call=call.name)
    target = redact(dict(list_files(PROC / str(pid))).get(call.descriptor, "?"), MAX_PATH)
    return say("Process {pid} waits in the kernel: {call} on {target}.", pid=pid, call=call.name, target=target)


def read_call(pid: int, *, proc: Path = PROC, machine: str = platform.machine()) -> Call | None:
    """What the main thread waits in; None where it runs, or the system does not say."""
    folder = proc / str(pid)
    with contextlib.suppress(OSError):
        return parse_call((folder / "syscall").read_text(), machine)
    # Where only a debugger may see the call, its place in the kernel may be told.
    with contextlib.suppress(OSError):
        return parse_place((folder / "wchan").read_text())
    return None


def parse_place(text: str) -> Call | None:
    """The kernel function of /proc/PID/wchan; `0` is none, or a secret."""
    return Call(text.strip()[:64]) if text.strip() not in ("", "0") else None


def parse_call(text: str, machine: str) -> Call | None:
    """`45 0x3 …` of /proc/PID/syscall; None for `running`, and for calls that are in no table."""
    words = text.split()
    if len(words) < 2 or not words[0].isdecimal():
        return None
    number = int(words[0])
    if name := _ON_DESCRIPTOR.get(machine, {}).get(number):
        return Call(name, int(words[1], 16))
    name = _OTHERS.get(machine, {}).get(number)
    return Call(name) if name else None


def list_mounts() -> list[Mount]:
    """The mounted file systems, from the system's table alone."""
    try:
        return [Mount(one.mountpoint, one.device, one.fstype) for one in psutil.disk_partitions(all=True)]
    except (OSError, RuntimeError):
        return []


def find_mount(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """That which a path is on, by its name alone; of several on one point the last."""
    found = None
    for mount in mounts:
        point = mount.point.rstrip("/")
        is_below = path == mount.point or path.startswith(f"{point}/")
        if is_below and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _describe_stuck(tree: Sequence[psutil.Process], mounts: Sequence[Mount]) -> list[Text]:
    """What processes in uninterruptible sleep have open on other machines' disks."""
    lines = []
    for process in tree if sys.platform == "linux" else ():
        if _status(process.pid) == psutil.STATUS_DISK_SLEEP:
            paths = [target for _, target in list_files(PROC / str(process.pid))]
            lines += describe_remote_files(process.pid, paths, mounts)[:1]
    return lines[:MAX_LINES]


def describe_remote_files(pid: int, paths: Iterable[str], mounts: Sequence[Mount]) -> list[Text]:
    """Of the paths those on a network file system, for a process in uninterruptible sleep."""
    found = [(path, mount) for path in paths if (mount := find_mount(path, mounts)) and mount.is_remote]
    return [
        say(
            "Process {pid} is in uninterruptible sleep, with {path} open on {device} ({kind}).",
            pid=pid,
            path=redact(path, MAX_PATH),
            device=redact(mount.device, MAX_PATH),
            kind=mount.kind,
        )
        for path, mount in found
    ]


def _folders(trainer: psutil.Process) -> list[Path]:
    with contextlib.suppress(psutil.Error, OSError):
        return [Path(trainer.cwd())]
    return []


def _describe_disks(folders: Iterable[Path], mounts: Sequence[Mount]) -> list[Text]:
    """The full disks among those of these folders; of a network's nothing is asked, it may not answer."""
    lines = {}
    for folder in folders:
        mount = find_mount(str(folder), mounts)
        if mount is None or mount.is_remote or mount.point in lines:
            continue
        with contextlib.suppress(OSError):
            facts = os.statvfs(folder)
            if line := describe_disk(mount.point, facts.f_bavail * facts.f_frsize, facts.f_blocks):
                lines[mount.point] = line
    return list(lines.values())


def describe_disk(point: str, free_bytes: int, blocks: int) -> Text | None:
    """A sentence about a full disk; None for others, and for one without a size, such as /proc."""
    if not blocks or free_bytes >= FULL_BYTES:
        return None
    return say("The disk of {path} is full: {free:.0f} MiB free.", path=redact(point, MAX_PATH), free=free_bytes >> 20)


def _status(pid: int | None) -> str:
    try:
        return str(psutil.Process(pid).status()) if pid else ""
    except psutil.Error:
        return ""
