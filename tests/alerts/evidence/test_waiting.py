"""What a hung trainer waits for: real processes and sockets, and recorded tables of other systems."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import psutil
import pytest

from alerts.evidence.gather import gather
from alerts.evidence.sockets import (
    Address,
    Connection,
    find_connections,
    find_other_ends,
    find_with_psutil,
    match_connections,
    parse_table,
)
from alerts.evidence.waiting import (
    Call,
    Mount,
    describe_connections,
    describe_disk,
    describe_remote_files,
    describe_waiting,
    find_mount,
    parse_call,
    parse_place,
    read_call,
)
from exporter.run_folder import write_process_record
from exporter.system.process_identity import identify
from tests.fakes import LOOPBACK, wait_for
from tests.programs import go_without

SERVER = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
kept = []
while True:
    connection, _ = server.accept()
    kept.append(connection)
    connection.recv(1 << 16)
"""
# As TRL's client of vLLM does: it posts, and waits without an end.
CLIENT = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=float(sys.argv[2]) or None)
connection.sendall(b"POST /generate/ HTTP/1.1\\r\\n\\r\\n")
print("asked", flush=True)
connection.recv(1 << 16)
"""


class Programs:
    """Python programs that have said one line; all end with the test."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def start(self, code: str, *arguments: object) -> tuple[int, str]:
        """(its PID, its first line)."""
        words = [sys.executable, "-c", code, *map(str, arguments)]
        program = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._started.append(program)
        assert program.stdout is not None
        return program.pid, program.stdout.readline().strip()

    def close(self) -> None:
        while self._started:
            program = self._started.pop()
            program.kill()
            program.communicate()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sockets of a busy machine take longer to look through."""
    monkeypatch.setattr("alerts.evidence.waiting.SECONDS", 60.0)


@pytest.fixture
def programs() -> Iterator[Programs]:
    found = Programs()
    yield found
    found.close()


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, 10, "the process is stopped", every=0.01)


@pytest.mark.parametrize("time_out", [0, 600], ids=["blocked in recv", "blocked in poll"])
def test_a_trainer_waits_for_a_server_that_was_stopped(tmp_path: Path, programs: Programs, time_out: int) -> None:
    server, port = programs.start(SERVER)
    trainer, _ = programs.start(CLIENT, port, time_out)
    write_process_record(tmp_path, identify(trainer))
    _stop(server)
    expected = f"Process {trainer} waits for 127.0.0.1:{port} (process {server}, stopped by a signal)."
    # It has said its line a moment before it waits.
    wait_for(lambda: gather(("process", "waiting"), tmp_path) == expected, 10, expected, every=0.05)


def test_a_request_that_was_never_accepted_waits_for_who_listens(tmp_path: Path, programs: Programs) -> None:
    server, port = programs.start(SERVER)
    _stop(server)
    trainer, _ = programs.start(CLIENT, port, 0)
    write_process_record(tmp_path, identify(trainer))
    expected = f"Process {trainer} waits for 127.0.0.1:{port} (process {server}, stopped by a signal)."
    wait_for(lambda: describe_waiting(tmp_path) == [expected], 10, expected, every=0.05)


def test_the_waiting_process_may_be_below_the_launcher(tmp_path: Path, programs: Programs) -> None:
    server, port = programs.start(SERVER)
    launcher = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    parent, _ = programs.start(launcher, CLIENT, port, 0)
    (child,) = psutil.Process(parent).children()
    try:
        write_process_record(tmp_path, identify(parent))
        wait_for(lambda: find_connections([child.pid], seconds=5), 20, "the connection", every=0.05)
        (line,) = describe_waiting(tmp_path)
        assert f"127.0.0.1:{port} (process {server})" in line
        assert line.startswith(f"Process {child.pid} ")
    finally:
        child.kill()


def test_a_trainer_that_is_stopped_itself_waits_for_nothing_else(tmp_path: Path, programs: Programs) -> None:
    _, port = programs.start(SERVER)
    trainer, _ = programs.start(CLIENT, port, 0)
    write_process_record(tmp_path, identify(trainer))
    _stop(trainer)
    text = gather(("process", "waiting"), tmp_path)
    assert text == f"Process {trainer} is stopped by a signal (SIGSTOP); SIGCONT resumes it."


def test_a_trainer_without_connections_tells_its_place_in_the_kernel(tmp_path: Path, programs: Programs) -> None:
    reader, _ = programs.start("import os; r, w = os.pipe(); print(r, flush=True); os.read(r, 1)")
    write_process_record(tmp_path, identify(reader))
    if sys.platform != "linux":
        go_without("needs a system that tells what a process waits in")
    line = wait_for(lambda: next((one for one in describe_waiting(tmp_path) if "pipe" in one), ""), 10, "its place")
    assert line.startswith(f"Process {reader} waits in the kernel: ")


def test_a_run_folder_without_a_process_has_nothing_to_say(tmp_path: Path) -> None:
    assert describe_waiting(tmp_path) == []


def test_both_ends_of_a_connection_are_found_in_ipv6_too() -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            server.bind(("::", 0))
        except OSError:
            go_without("needs IPv6")
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)) as client, server.accept()[0]:
            found = [one for one in find_connections([os.getpid()], seconds=5) if one.descriptor == client.fileno()]
    assert found == [Connection(os.getpid(), found[0].descriptor, Address(LOOPBACK, port), True, os.getpid())]


def test_psutil_finds_both_ends_too() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)) as client, server.accept()[0]:
            found = find_with_psutil([os.getpid()], time.monotonic() + 5)
            expected = Connection(os.getpid(), client.fileno(), Address(LOOPBACK, port), True, os.getpid())
    assert expected in found


TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 100 1 0 100 0 0 10 0
   1: 0100007F:C350 0100007F:1F40 01 00000000:00000000 00:00000000 00000000  1000        0 200 1 0 20 4 30 10 -1
   2: 0100007F:1F40 0100007F:C350 01 00000000:00000020 00:00000000 00000000  1000        0 300 1 0 20 4 30 10 -1
   3: 0100007F:C351 0100007F:1F40 01 00000000:00000000 00:00000000 00000000  1000        0 201 1 0 20 4 30 10 -1
   4: 0100007F:1F40 0100007F:C351 01 00000000:00000020 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1
   5: 0500A8C0:C352 0900A8C0:1F40 02 00000001:00000000 01:00000064 00000001  1000        0 202 2 0 800 0 0 1 7
   6: 0500A8C0:C353 0900A8C0:1F40 01 00000000:00000000 00:00000000 00000000  1000        0 203 1 0 20 4 30 10 -1
   7: 0100007F:C354 0100007F:1F40 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0
   8: nonsense
   9: 01:C350 0100007F:1F40 01 0 0 0 0 0 0 5
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is of a machine that stores low bytes first")
def test_the_kernels_table_is_read_and_its_ends_are_matched() -> None:
    rows = parse_table(TABLE)
    assert [row.inode for row in rows] == [100, 200, 300, 201, 0, 202, 203]
    assert str(rows[5].remote) == "192.168.0.9:8000"
    assert rows[5].status == psutil.CONN_SYN_SENT
    ends = find_other_ends(rows, [row for row in rows if 200 <= row.inode < 300])
    # One that was accepted, one that is the listener's to accept, and two of another machine.
    assert ends == {200: [300], 201: [100], 202: [], 203: []}


@pytest.mark.parametrize("text", ["", "x", "a\n0: 1 2 3", "a\n0: zz:1 0:0 01 0 0 0 0 0 0 7", "a\n" + "1 " * 40])
def test_a_table_that_is_none_has_no_rows(text: str) -> None:
    assert parse_table(text) == []


class Told(NamedTuple):
    """An address as psutil gives it."""

    ip: str
    port: int


def test_what_macos_tells_is_matched_the_same_way() -> None:
    """As psutil gives it there: the addresses are named tuples, and there is no system call to see."""
    here, other, server = Told("127.0.0.1", 50000), Told("127.0.0.1", 50001), Told("127.0.0.1", 8000)
    told = [
        (7, SimpleNamespace(fd=9, laddr=here, raddr=server, status="ESTABLISHED")),
        (7, SimpleNamespace(fd=10, laddr=other, raddr=server, status="ESTABLISHED")),
        (7, SimpleNamespace(fd=11, laddr=here, raddr=Told("::ffff:10.0.0.9", 443), status="SYN_SENT")),
        (7, SimpleNamespace(fd=12, laddr=Told("::", 6006), raddr=(), status="LISTEN")),
        (7, SimpleNamespace(fd=13, laddr=here, raddr=server, status="CLOSE_WAIT")),
        (7, SimpleNamespace(fd=14, laddr=Told("*", 1), raddr=server, status="ESTABLISHED")),
        (4711, SimpleNamespace(fd=5, laddr=Told("0.0.0.0", 8000), raddr=(), status="LISTEN")),
        (4712, SimpleNamespace(fd=6, laddr=server, raddr=here, status="ESTABLISHED")),
    ]
    found = match_connections([7], told)
    assert found == [
        Connection(7, 9, Address("127.0.0.1", 8000), True, 4712),
        # Not accepted yet: who listens there will.
        Connection(7, 10, Address("127.0.0.1", 8000), True, 4711),
        Connection(7, 11, Address("10.0.0.9", 443), False),
    ]
    assert describe_connections(found[1:2], {}, {4711: psutil.STATUS_STOPPED}) == [
        "Process 7 waits for 127.0.0.1:8000 (process 4711, stopped by a signal)."
    ]


def test_only_what_is_known_is_called_waiting() -> None:
    one = Connection(7, 3, Address("10.0.0.9", 443), True)
    other = Connection(7, 4, Address("127.0.0.1", 8000), True, 4711)
    running = {4711: psutil.STATUS_RUNNING}
    assert describe_connections([one, other], {7: Call("recvfrom", 4)}, running) == [
        "Process 7 waits for 127.0.0.1:8000 (process 4711)."
    ]
    connected = ["Process 7 is connected to 10.0.0.9:443.", "Process 7 is connected to 127.0.0.1:8000 (process 4711)."]
    assert describe_connections([one, other], {7: Call("wait_woken")}, running) == connected
    assert describe_connections([one, other], {7: Call("poll")}, running) == connected
    assert describe_connections([other], {7: Call("wait_woken")}, {4711: psutil.STATUS_DISK_SLEEP}) == [
        "Process 7 waits for 127.0.0.1:8000 (process 4711, in uninterruptible sleep)."
    ]
    assert describe_connections([one._replace(is_open=False)], {}, {}) == [
        "Process 7 waits for a connection to 10.0.0.9:443."
    ]
    many = [Connection(7, fd, Address("10.0.0.9", fd), True) for fd in range(40)]
    assert describe_connections(many, {}, {}) == []
    assert str(Address("fe80::1", 80)) == "[fe80::1]:80"


@pytest.mark.parametrize(
    ("text", "machine", "call"),
    [
        ("45 0x3 0x7ffc 0x1000 0x0 0x0 0x0 0x7ffe 0x7f0e\n", "x86_64", Call("recvfrom", 3)),
        ("207 0x1f 0x7ffc 0x1000 0x0 0x0 0x0 0x7ffe 0x7f0e\n", "aarch64", Call("recvfrom", 31)),
        ("202 0x7f 0x80 0x0 0x0 0x0 0x0 0x7ffe 0x7f0e\n", "x86_64", Call("futex")),
        ("running\n", "x86_64", None),
        ("-1 0x7ffe 0x7f0e\n", "x86_64", None),
        ("45 0x3 0x7ffc\n", "riscv64", None),
        ("", "x86_64", None),
    ],
)
def test_a_system_call_is_read(text: str, machine: str, call: Call | None) -> None:
    assert parse_call(text, machine) == call


def test_where_the_call_is_hidden_its_place_is_read(tmp_path: Path) -> None:
    """As on systems that let only a debugger see the call."""
    (tmp_path / "7").mkdir()
    assert read_call(7, proc=tmp_path) is None
    (tmp_path / "7" / "wchan").write_text("wait_woken")
    assert read_call(7, proc=tmp_path) == Call("wait_woken")
    (tmp_path / "7" / "syscall").write_text("45 0x3 0x7ffc\n")
    assert read_call(7, proc=tmp_path, machine="x86_64") == Call("recvfrom", 3)
    one = Connection(7, 3, Address("127.0.0.1", 8000), True, 4711)
    assert describe_connections([one], {7: Call("wait_woken")}, {}) == [
        "Process 7 waits for 127.0.0.1:8000 (process 4711)."
    ]


def test_a_place_in_the_kernel_is_read() -> None:
    assert parse_place("wait_woken") == Call("wait_woken")
    assert parse_place("0") is None
    assert parse_place("") is None


def test_a_file_of_a_network_is_named_without_touching_it() -> None:
    mounts = [
        Mount("/", "/dev/sda1", "ext4"),
        Mount("/data", "store:/export", "nfs4"),
        Mount("/data/fast", "/dev/sdb1", "xfs"),
    ]
    paths = ["socket:[5]", "/home/u/train.log", "/data/fast/x", "/database", "/data/checkpoint-5/model.safetensors"]
    assert describe_remote_files(7, paths, mounts) == [
        "Process 7 is in uninterruptible sleep, with /data/checkpoint-5/model.safetensors open on store:/export (nfs4)."
    ]
    assert find_mount("/data", mounts) == mounts[1]
    assert find_mount("/database", mounts) == mounts[0]
    assert find_mount("relative", mounts) is None


def test_a_full_disk_is_a_fact() -> None:
    assert describe_disk("/data", 3 << 20, 1000) == "The disk of /data is full: 3 MiB free."
    assert describe_disk("/data", 1 << 30, 1000) is None
    assert describe_disk("/proc", 0, 0) is None


def test_the_disk_that_a_trainer_runs_on_is_looked_at(tmp_path: Path, programs: Programs) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        sys.platform != "linux"
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], stderr=subprocess.DEVNULL, check=False
        ).returncode
    ):
        go_without("needs root, to mount a small disk")
    try:
        trainer, _ = programs.start(
            "import os, sys, time; os.chdir(sys.argv[1]); print(1, flush=True); time.sleep(600)", disk
        )
        write_process_record(tmp_path, identify(trainer))
        assert f"The disk of {disk} is full: 1 MiB free." in describe_waiting(tmp_path)
    finally:
        programs.close()
        subprocess.run(["umount", str(disk)], check=True)
