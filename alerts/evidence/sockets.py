"""The TCP connections of some processes, and which process of this machine is at the other end of each.

Linux tells them in /proc, elsewhere psutil does; both see only what this user may see.
"""

import contextlib
import ipaddress
import os
import re
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

PROC = Path("/proc")
MAX_TABLE_BYTES = 1 << 22
MAX_FILES = 4096

_SOCKET = re.compile(r"socket:\[(\d+)\]")
# As the kernel numbers them, <net/tcp_states.h>.
_STATES = {"01": psutil.CONN_ESTABLISHED, "02": psutil.CONN_SYN_SENT, "0A": psutil.CONN_LISTEN}


class Address(NamedTuple):
    """An IP address, an IPv4 address within IPv6 as the former, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_NOWHERE = Address("0.0.0.0", 0)


class Socket(NamedTuple):
    """One row of the kernel's table of TCP sockets; `inode` is 0 while no process has it."""

    local: Address
    remote: Address
    status: str
    inode: int


class Connection(NamedTuple):
    """A process's connection; `is_open` is False while it is being made. `owner` is the process at the other end."""

    pid: int
    descriptor: int
    remote: Address
    is_open: bool
    owner: int | None = None


def find_connections(pids: Iterable[int], *, seconds: float, proc: Path = PROC) -> list[Connection]:
    """Those of these processes that are open or being made; owners are looked for until `seconds` have passed."""
    deadline = time.monotonic() + seconds
    if sys.platform == "linux":
        return _find_in_proc(list(pids), deadline, proc)
    return find_with_psutil(list(pids), deadline)


def parse_table(text: str) -> list[Socket]:
    """The rows of /proc/PID/net/tcp or tcp6 that are open, being made, or listening; others are left out."""
    rows = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] not in _STATES:
            continue
        with contextlib.suppress(ValueError):
            rows.append(
                Socket(_parse_address(fields[1]), _parse_address(fields[2]), _STATES[fields[3]], int(fields[9]))
            )
    return rows


def find_other_ends(sockets: Iterable[Socket], wanted: Iterable[Socket]) -> dict[int, list[int]]:
    """The inodes of the sockets at the other ends, best first, by the inode of a wanted one.

    A connection that its server has not accepted yet is no process's: who listens there has it.
    """
    ends: dict[tuple[Address, Address], int] = {}
    listening: dict[int, list[Socket]] = {}
    for one in sockets:
        if one.status == psutil.CONN_LISTEN:
            listening.setdefault(one.local.port, []).append(one)
        elif one.inode:
            ends[one.local, one.remote] = one.inode
    found: dict[int, list[int]] = {}
    for one in wanted:
        end = ends.get((one.remote, one.local))
        is_here = ipaddress.ip_address(one.remote.host).is_loopback or one.remote.host == one.local.host
        listeners = listening.get(one.remote.port, []) if is_here else []
        fitting = [other.inode for other in listeners if _accepts(other.local.host, one.remote.host)]
        found[one.inode] = [end] if end else fitting
    return found


def _accepts(bound: str, host: str) -> bool:
    return bound == host or ipaddress.ip_address(bound).is_unspecified


def _parse_address(text: str) -> Address:
    """`0100007F:1F90`: words of four bytes in the order of this machine, and the port. Raises ValueError."""
    digits, _, port = text.partition(":")
    packed = bytes.fromhex(digits)
    if sys.byteorder == "little":
        packed = b"".join(packed[place : place + 4][::-1] for place in range(0, len(packed), 4))
    return make_address(str(ipaddress.ip_address(packed)), int(port, 16))


def make_address(host: str, port: int) -> Address:
    """Raises ValueError for a host that is no IP address."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return Address(str(mapped or address), port)


def _find_in_proc(pids: list[int], deadline: float, proc: Path) -> list[Connection]:
    files = {pid: _list_sockets(proc / str(pid)) for pid in pids}
    table = _read_table(proc, next((pid for pid in pids if files[pid]), None))
    by_inode = {one.inode: one for one in table if one.inode and one.status != psutil.CONN_LISTEN}
    held = [(pid, fd, by_inode[inode]) for pid in pids for fd, inode in files[pid].items() if inode in by_inode]
    ends = find_other_ends(table, [one for _, _, one in held])
    owners = _find_owners({inode for found in ends.values() for inode in found}, deadline, proc)
    found = []
    for pid, fd, one in held:
        owner = next((owners[inode] for inode in ends[one.inode] if inode in owners), None)
        found.append(Connection(pid, fd, one.remote, one.status == psutil.CONN_ESTABLISHED, owner))
    return found


def _read_table(proc: Path, pid: int | None) -> list[Socket]:
    """All sockets of the network namespace that a process is in."""
    rows: list[Socket] = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(proc / str(pid) / "net" / name, encoding="ascii") as file:
            rows += parse_table(file.read(MAX_TABLE_BYTES))
    return rows


def _list_sockets(folder: Path) -> dict[int, int]:
    """The inode of each socket that a process has open, by its descriptor."""
    found = {}
    for fd, target in list_files(folder):
        if match := _SOCKET.fullmatch(target):
            found[fd] = int(match[1])
    return found


def list_files(folder: Path) -> Iterator[tuple[int, str]]:
    """What each descriptor of a process leads to, without touching it: a file system may hang."""
    try:
        with os.scandir(folder / "fd") as entries:
            for number, entry in enumerate(entries):
                if number >= MAX_FILES:
                    return
                with contextlib.suppress(OSError, ValueError):
                    yield int(entry.name), os.readlink(entry.path)
    except OSError:
        return


def _find_owners(inodes: set[int], deadline: float, proc: Path) -> dict[int, int]:
    """The process that has each of these sockets, the first of several."""
    owners: dict[int, int] = {}
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdecimal()) if inodes else []:
        if len(owners) == len(inodes) or time.monotonic() > deadline:
            break
        for inode in _list_sockets(proc / str(pid)).values():
            if inode in inodes:
                owners.setdefault(inode, pid)
    return owners


def find_with_psutil(pids: list[int], deadline: float) -> list[Connection]:
    """The same where there is no /proc; `deadline` is by the monotonic clock."""
    told = [(pid, one) for pid in pids for one in _ask(pid)]
    if not any(one.raddr for _, one in told):
        return []
    for pid in psutil.pids():
        if time.monotonic() > deadline:
            break
        if pid not in pids:
            told += [(pid, one) for one in _ask(pid)]
    return match_connections(pids, told)


def match_connections(pids: Collection[int], told: Iterable[tuple[int, Any]]) -> list[Connection]:
    """The connections of these processes; `told` are those of all, as psutil gives them, each with its process."""
    table: list[Socket] = []
    holders: list[tuple[int, int]] = []
    for pid, one in told:
        with contextlib.suppress(ValueError):
            remote = make_address(*one.raddr) if one.raddr else _NOWHERE
            if one.status in _STATES.values():
                table.append(Socket(make_address(*one.laddr), remote, one.status, len(holders) + 1))
                holders.append((pid, one.fd))
    wanted = [one for one in table if one.remote is not _NOWHERE and holders[one.inode - 1][0] in pids]
    ends = find_other_ends(table, wanted)
    found = []
    for one in wanted:
        owner = next((holders[place - 1][0] for place in ends[one.inode]), None)
        found.append(Connection(*holders[one.inode - 1], one.remote, one.status == psutil.CONN_ESTABLISHED, owner))
    return found


def _ask(pid: int) -> list[Any]:
    try:
        return psutil.Process(pid).net_connections("tcp")
    except (psutil.Error, OSError):
        return []
