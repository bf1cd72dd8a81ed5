"""Machines as network namespaces: a cable that can be cut or a NAT in between, a clock of its own, peers, sidecars."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from fleet.configuration.load import load_file
from fleet.processes.files import configurations, make_folders, write
from fleet.processes.programs import plan_programs
from tests.architecture import ROOT
from tests.programs import go_without, require

NETWORK = "10.213.77"
WATCHER = f"{NETWORK}.1"
# The last one is behind NAT: it has no address that anybody else reaches.
BEHIND_NAT = "rack-4"
MACHINES = {"rack-1": f"{NETWORK}.11", "rack-2": f"{NETWORK}.12", "rack-3": f"{NETWORK}.13", BEHIND_NAT: "10.0.2.100"}
PUSHING = ("rack-3", BEHIND_NAT)
# The one with a disk of its own, of so many bytes.
SMALL_DISK, DISK_BYTES = "rack-3", 64 << 20
# One name is on two machines.
PEERS = {
    "rack-1": ("amber", "basalt"),
    "rack-2": ("amber", "cobalt"),
    "rack-3": ("dolomite", "elmwood"),
    BEHIND_NAT: ("fluorite",),
}
NAMES = {"amber", "basalt", "amber@rack-2", "cobalt", "dolomite", "elmwood", "fluorite"}
# By how many seconds the clock of every program there is off: two that are asked, two that push.
CLOCKS = {"rack-1": -3600, "rack-2": 3600, "rack-3": 1800, BEHIND_NAT: -3600}
# libfaketime sets the clock of C, too, by which certificates are judged; not the times of files, nor the boot time that
# the kernel tells, which follow the machine's clock.
SET_CLOCK = """
import os, psutil, select, time
lead = float(os.environ["CLOCK_LEAD"])

def shifted(ask):
    def stat(*arguments, **options):
        made, (fields, more) = ask(*arguments, **options).__reduce__()
        times = {name: more[name] + lead * (1e9 if name.endswith("_ns") else 1) for name in more if "time" in name}
        more |= {name: int(value) if name.endswith("_ns") else value for name, value in times.items()}
        return made((*fields[:7], *(int(at + lead) for at in fields[7:10]), *fields[10:]), more)
    return stat

os.stat, os.lstat, os.fstat = map(shifted, (os.stat, os.lstat, os.fstat))
# The library refuses the call that this would make.
time.sleep = lambda seconds: select.select((), (), (), seconds)
_boot_time = psutil._psplatform.boot_time
psutil._psplatform.boot_time = lambda: _boot_time() + lead
"""

TRAINER = """
import json, os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
(folder / "pid").write_text(str(os.getpid()))
with (folder / "log.jsonl").open("a", buffering=1) as log:
    step = 0
    while True:
        step += 1
        log.write(json.dumps({"step": step, "time": time.time(), "loss": 0.5}) + "\\n")
        time.sleep(0.4)
"""


def clock_library() -> str:
    """Path of libfaketime for programs with threads."""
    require("faketime")
    return str(next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")))


def run(*words: str) -> None:
    subprocess.run([require("ip"), *words], check=True, capture_output=True)


def remove_leftovers() -> None:
    """Ends the networks of test runs that were killed: their bridges have the same addresses."""
    listed = subprocess.check_output([require("ip"), "-o", "link"], text=True)
    spaces = subprocess.check_output(["ip", "netns", "list"], text=True)
    bridges = re.findall(r"\b(pw(\d+)b):", listed)
    for words, name, pid in [
        *(("link", bridge, pid) for bridge, pid in bridges),
        *(("netns", space, pid) for space, pid in re.findall(r"^(pw(\d+)-\S+)", spaces, re.MULTILINE)),
    ]:
        if not psutil.pid_exists(int(pid)):
            run(words, "del", name)


@contextmanager
def network() -> Iterator[str]:
    """A bridge with the watcher's address and one namespace for each machine; their names begin with what it yields."""
    require("ip")
    require("slirp4netns")
    if os.geteuid():
        go_without("needs root for network namespaces")
    mark = f"pw{os.getpid()}"
    remove_leftovers()
    with ExitStack() as stack:
        run("link", "add", f"{mark}b", "type", "bridge")
        stack.callback(subprocess.run, ["ip", "link", "del", f"{mark}b"], check=False)
        run("addr", "add", f"{WATCHER}/24", "dev", f"{mark}b")
        run("link", "set", f"{mark}b", "up")
        for number, (machine, address) in enumerate(MACHINES.items()):
            space = f"{mark}-{machine}"
            run("netns", "add", space)
            stack.callback(subprocess.run, ["ip", "netns", "del", space], check=False)
            run("-n", space, "link", "set", "lo", "up")
            if machine == BEHIND_NAT:
                continue
            run("link", "add", f"{mark}v{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
            run("link", "set", f"{mark}v{number}", "master", f"{mark}b", "up")
            run("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            run("-n", space, "link", "set", "eth0", "up")
        yield mark


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk mounted there, in memory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        # What still runs there has its files in use.
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextmanager
def address_translation(space: str) -> Iterator[None]:
    """NAT in a process, as of a router: what is in the namespace reaches what this machine does, and nobody it."""
    ready, is_ready = os.pipe()
    options = ["--configure", "--disable-host-loopback", "--disable-dns", "--ready-fd", str(is_ready)]
    words = [require("slirp4netns"), *options, "--netns-type", "path", f"/run/netns/{space}", "tap0"]
    process = subprocess.Popen(words, pass_fds=[is_ready], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(is_ready)
    try:
        assert os.read(ready, 1) == b"1", "no NAT"
        yield
    finally:
        os.close(ready)
        process.kill()
        process.wait()


@dataclass
class Machine:
    """One machine: its folder, its fleet's file, its way out, and the processes that run on it."""

    name: str
    space: str
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    nat: ExitStack = field(default_factory=ExitStack)

    def cut(self) -> None:
        """No way to or from it any more: the cable, or the router's NAT."""
        if self.name == BEHIND_NAT:
            self.nat.close()
        else:
            run("-n", self.space, "link", "set", "eth0", "down")

    def connect(self) -> None:
        if self.name == BEHIND_NAT:
            self.nat.enter_context(address_translation(self.space))
        else:
            run("-n", self.space, "link", "set", "eth0", "up")

    @property
    def file(self) -> Path:
        return self.folder / "peerwatch.yaml"

    def start(self, title: str, *command: str) -> None:
        with (self.folder / f"{title}.log").open("wb") as log:
            self.processes[title] = subprocess.Popen(
                self._words(command), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=self._environment()
            )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        words, environment = self._words(command), self._environment()
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)

    def _words(self, command: Iterable[str]) -> list[str]:
        return [require("ip"), "netns", "exec", self.space, sys.executable, *command]

    def _environment(self) -> dict[str, str]:
        (self.folder / "sitecustomize.py").write_text(SET_CLOCK)
        lead = CLOCKS[self.name]
        clock = {"LD_PRELOAD": clock_library(), "FAKETIME": f"{lead:+}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        # With its fix a wait on a condition returns at once: a thread that waits for the interpreter's lock would spin.
        clock |= {"FAKETIME_FORCE_MONOTONIC_FIX": "0"}
        # It would leave shared memory behind when the process is killed.
        clock |= {"FAKETIME_DISABLE_SHM": "1", "PYTHONPATH": str(self.folder), "CLOCK_LEAD": str(lead)}
        return os.environ | clock

    def write(self, script: Path) -> None:
        """The fleet's file, and the trainers that somebody else has started there."""
        peers = [self.start_trainer(peer, script) for peer in PEERS[self.name]]
        content = {"fleet": self.name, "state_dir": "state", "sidecar_interval": "1s", "peers": peers}
        self.file.write_text(yaml.safe_dump(content))

    def start_trainer(self, peer: str, script: Path) -> dict[str, Any]:
        """How the fleet's file has it."""
        folder = self.folder / peer
        folder.mkdir(parents=True)
        self.start(peer, str(script), str(folder))
        reader = {"jsonl": {"path": str(folder / "log.jsonl")}}
        find = {"pid_file": str(folder / "pid")}
        return {"name": peer, "kind": "attached", "find": find, "progress": [reader], "stall": {"floor": "6s"}}

    def change_peers(self, *, without: str = "", more: dict[str, Any] | None = None) -> list[str]:
        """Changes the list in the fleet's file and starts what is new; what is to be ended then, by title."""
        content = yaml.safe_load(self.file.read_text())
        content["peers"] = [one for one in content["peers"] if one["name"] != without] + ([more] if more else [])
        self.file.write_text(yaml.safe_dump(content))
        gone = [title for title in self.processes if title in (f"sidecar:{without}", "push")]
        for title in gone:
            self.processes[f"old {title}"] = self.processes.pop(title)
        self.start_sidecars()
        return [f"old {title}" for title in gone]

    def end_sidecars(self) -> None:
        self.end_some([title for title in self.processes if title.startswith(("sidecar:", "push"))])

    def end_some(self, titles: Iterable[str]) -> None:
        for title in titles:
            process = self.processes.pop(title)
            process.kill()
            process.wait()

    def start_sidecars(self) -> None:
        """The sidecars as `peerwatch up` starts them; the rest of a fleet is not needed here."""
        loaded = load_file(self.file)
        assert loaded.is_usable, loaded.lines()
        assert loaded.config is not None
        make_folders(loaded.folder, loaded.peers)
        for path, text in configurations(loaded.composition, loaded.folder).values():
            write(path, text)
        for program in plan_programs(loaded.config, loaded.peers, loaded.folder, "test", base=loaded.base):
            if program.group in ("sidecar", "push") and program.title not in self.processes:
                words = list(program.command)
                self.start(program.title, *words[words.index("-m", words.index("--") if "--" in words else 0) :])

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.nat.close()
