"""A throw-away machine with a real systemd as its first process, for units that are installed, killed and removed.

It is made of namespaces: its processes, network (loopback only), /tmp and /run are its own, and what it writes to the
disk goes to memory and is gone afterwards. It needs root, util-linux, and Debian's systemd, dbus and libpam-systemd.
"""

import compileall
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from tests import warm
from tests.programs import go_without, require

ROOT = Path(__file__).parents[1]
USER = "keeper"
_HOME = Path("/home") / USER

_UNSHARE = ("unshare", "--pid", "--fork", "--mount", "--ipc", "--uts", "--net")

# $1 is an empty folder; the other arguments are folders that systemd must not find empty, as they may lie in /tmp.
_MAKE = """
set -eu
base=$1; shift
mount --make-rprivate /
mount -t tmpfs tmpfs "$base"
mkdir -p "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root"
root=$base/root
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir -p "$root/dev/shm" "$root/dev/pts"
chmod 1777 "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
for place in run tmp var/tmp; do mount -t tmpfs tmpfs "$root/$place"; done
mount -t tmpfs cgroup "$root/sys/fs/cgroup"
mkdir -p "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
mount -t cgroup2 none "$root/sys/fs/cgroup/unified" || true
mount -t cgroup -o none,name=systemd none "$root/sys/fs/cgroup/systemd" || true
for place in "$@"; do
    mkdir -p "$base/more$place/upper" "$base/more$place/work" "$root$place"
    mount -t overlay overlay -o "lowerdir=$place,upperdir=$base/more$place/upper,workdir=$base/more$place/work" \
        "$root$place"
done
ip link set lo up
export container=box
exec chroot "$root" /lib/systemd/systemd --system --log-target=console --unit=multi-user.target
"""


class Box:
    """A running box; `run` is what an ordinary user who is logged in and lingers does."""

    def __init__(self, outer: subprocess.Popen[bytes], init: int) -> None:
        self._outer, self._init = outer, init
        self.home = _HOME

    def run(self, *command: str, status: int = 0, seconds: float = 360, **environment: str) -> str:
        """The command's output; expects the exit status `status`."""
        line = f"cd {shlex.quote(str(_HOME))} && exec {shlex.join(command)}"
        return self._inside([*self._as_user(environment), "sh", "-c", line], status, seconds)

    def as_root(self, *command: str) -> str:
        return self._inside(list(command), 0, 360)

    def serve(self, program: str) -> warm.Server:
        """The same user's, for starts of `program`; end it before the box stops."""
        return warm.Server(program, words=[*self._enter(), *self._as_user({})])

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The user's."""
        return {"HOME": str(_HOME), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **more}

    @property
    def root(self) -> Path:
        """Where its files are seen from outside."""
        return Path(f"/proc/{self._init}/root")

    def _as_user(self, environment: Mapping[str, str]) -> list[str]:
        change = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "env", "-i"]
        return change + [f"{name}={value}" for name, value in self.environment(environment).items()]

    def _enter(self) -> list[str]:
        spaces = ("--pid", "--mount", "--ipc", "--uts", "--net")
        return ["nsenter", "-t", str(self._init), *spaces, "chroot", str(self.root)]

    def _inside(self, command: list[str], status: int, seconds: float) -> str:
        result = subprocess.run(
            [*self._enter(), *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
        )
        said = result.stdout + result.stderr
        assert result.returncode == status, f"{command[-1]}: {result.returncode}\n{said}"
        return said

    def stop(self) -> None:
        psutil.Process(self._init).kill()
        self._outer.wait(timeout=180)


def boot() -> Iterator[Box]:
    """For a fixture: a box with an ordinary user; skipped where this is not root's machine."""
    for program in ("unshare", "nsenter", "setpriv", "ip", "systemctl", "dbus-daemon", "loginctl"):
        require(program)
    if os.getuid() != 0:
        go_without("needs root, to make a box")
    # The box's user may not write bytecode beside the source, and would compile it at each start.
    compileall.compile_dir(ROOT, quiet=1, rx=re.compile(r"/\."))
    base = tempfile.mkdtemp(dir="/var/lib", prefix="peerwatch-box-")
    log = Path(f"{base}.log")
    with log.open("wb") as sink:
        outer = subprocess.Popen(
            [*_UNSHARE, "sh", "-c", _MAKE, "sh", base, *_needed_folders()],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    box = None
    try:
        box = Box(outer, _wait_for_init(outer, log))
        _wait_until_up(box, log)
        _add_user(box)
        yield box
    finally:
        if box:
            box.stop()
        else:
            outer.kill()
            outer.wait()
        os.rmdir(base)
        log.unlink()


def _needed_folders() -> list[str]:
    """The source and the virtual environment, where the box's own empty /tmp would hide them."""
    hidden = ("/tmp/", "/var/tmp/", "/run/")
    return [place for place in {str(ROOT), sys.prefix} if place.startswith(hidden)]


def _wait_for_init(outer: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and outer.poll() is None:
        for child in psutil.Process(outer.pid).children():
            if child.name() == "systemd":
                return child.pid
        time.sleep(0.1)
    raise AssertionError(f"the box does not boot:\n{log.read_text()[-3000:]}")


def _wait_until_up(box: Box, log: Path) -> None:
    deadline = time.monotonic() + 360
    while time.monotonic() < deadline:
        said = ""
        for status in (0, 1):
            try:
                said = box._inside(["systemctl", "is-system-running"], status, 60).strip()
                break
            except AssertionError:
                continue
        if said in ("running", "degraded"):
            return
        time.sleep(0.2)
    raise AssertionError(f"the box does not come up:\n{log.read_text()[-3000:]}")


def _add_user(box: Box) -> None:
    box.as_root("useradd", "--create-home", "--shell", "/bin/sh", USER)
    # Root's folders may be closed to others; what is changed here is changed in the box alone.
    for place in {ROOT, Path(sys.prefix), Path(os.path.realpath(sys.executable)).parent}:
        for folder in (place, *place.parents):
            box.as_root("chmod", "o+rx", str(folder))
    user = box.as_root("id", "-u", USER).strip()
    box.as_root("loginctl", "enable-linger", USER)
    box.as_root("systemctl", "start", f"user@{user}.service")
