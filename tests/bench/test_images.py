"""Both images, built step by step without a container engine, and run without rights on a root that cannot be written.

The base image is made of Debian's packages, as that of Python comes from a registry: the same release, the same Python.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.programs import go_without, require

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

Record = Callable[..., None]
ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/python:3.11-slim-bookworm"
PACKAGES = "python3,python3-venv,python3-pip,python3-wheel,libpython3.11-dev,ca-certificates"
# What pip and apt need of this machine to reach what they reach here.
SHARED = ("/etc/ssl/certs", "/etc/pip.conf", "/etc/resolv.conf", "/root/.config/pip")
# Mounts as a kubelet makes them; then a command as the image's user, and an attempt to write to the image.
RUN = """
set -e
mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"
mount -t tmpfs tmpfs "$1/tmp"; mount -t proc proc "$1/proc"; mount --bind /dev "$1/dev"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$1/dev/shm"
cp "$2" "$1/tmp/settings.yaml"; chown -R 10001:10001 "$1/tmp"; root="$1"; shift 2
chroot="$(command -v chroot) --userspec=10001:10001"
in_image() { env -i HOME=/tmp PATH=/opt/peerwatch/bin:/usr/bin:/bin $chroot "$root" "$@"; }
in_image sh -c 'id -u; grep CapEff /proc/self/status; touch /opt/peerwatch/x 2>&1 || true'
in_image "$@"
"""
WATCHER = ("fleet: boxed\nstate_dir: /tmp/state\nlisten: 127.0.0.1:0\n", ("timeout", "30", "python", "-m", "alerts"))
TRAINER = (
    "name: boxed\nrun_dir: /tmp/peer\ndevice: cpu\nmax_rounds: 1\nsteps_per_stage: 1\nstages_per_round: 1\n"
    "swarm: {port: 0, leader: true}\n",
    ("timeout", "600", "python", "-m", "trainer"),
)


class Builder:
    """Buildah in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._store = ("--storage-driver", "vfs", "--root", str(folder / "store"), "--runroot", str(folder / "run"))

    def call(self, *arguments: str) -> str:
        done = subprocess.run([require("buildah"), *self._store, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout.strip()

    def build(self, dockerfile: Path, tag: str, context: Path) -> None:
        shared = [path for path in (*SHARED, *_folders_of_pip()) if Path(path).exists()]
        mounts = [word for path in shared for word in ("--volume", f"{path}:{path}:ro")]
        options = ("--isolation", "chroot", "--layers=false", "--pull-never", *mounts)
        self.call("bud", *options, "--file", str(dockerfile), "--tag", tag, str(context))


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Has the base image."""
    if os.geteuid() != 0:
        go_without("needs root, to mount and to change the root")
    folder = tmp_path_factory.mktemp("images")
    context = folder / "base"
    context.mkdir()
    command = [require("mmdebstrap"), "--variant=apt", f"--include={PACKAGES}", "bookworm", str(context / "root.tar")]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-2000:]
    (folder / "base.Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
    builder = Builder(folder)
    builder.build(folder / "base.Dockerfile", BASE, context)
    return builder


@pytest.mark.parametrize(
    ("name", "settings", "command", "said"),
    [
        ("watcher", *WATCHER, "alert loop of fleet boxed at"),
        ("trainer", *TRAINER, "run finished"),
    ],
)
def test_an_image_is_built_and_runs_without_rights_on_a_read_only_root(
    builder: Builder,
    tmp_path: Path,
    record: Record,
    name: str,
    settings: str,
    command: tuple[str, ...],
    said: str,
) -> None:
    began = time.monotonic()
    builder.build(ROOT / "deploy" / "docker" / f"{name}.Dockerfile", f"peerwatch-{name}", ROOT)
    seconds = time.monotonic() - began
    root = builder.call("mount", builder.call("from", "--pull-never", f"peerwatch-{name}"))
    (tmp_path / "settings.yaml").write_text(settings)
    script = ["sh", "-c", RUN, "sh", root, str(tmp_path / "settings.yaml"), *command, "--config", "/tmp/settings.yaml"]
    run = subprocess.run([require("unshare"), "--mount", *script], capture_output=True, text=True)
    seen = run.stdout + run.stderr
    lines = seen.splitlines()
    assert lines[0] == "10001", seen[-3000:]
    assert lines[1].split() == ["CapEff:", "0" * 16]
    assert "Read-only file system" in lines[2]
    assert said in seen, seen[-3000:]
    size = sum(path.lstat().st_size for path in Path(root, "opt", "peerwatch").rglob("*") if not path.is_symlink())
    record("Images", f"{name}: what it adds to its base", f"{size / 1e6:.0f} MB, built in {seconds:.0f} s", "recorded")


def _folders_of_pip() -> list[str]:
    """The folders of this machine from which pip is configured to install."""
    shown = subprocess.run(["pip", "config", "list"], capture_output=True, text=True).stdout
    words = [
        word.strip("'").removeprefix("file://") for line in shown.splitlines() for word in line.split("=")[-1].split()
    ]
    words += os.environ.get("PIP_FIND_LINKS", "").split()
    # An index of a folder may name files beside it.
    words += [str(Path(word).parent) for word in words if Path(word).name == "simple"]
    found = {Path(word) for word in words if word.startswith("/") and Path(word).is_dir()}
    return sorted(str(path) for path in found if found.isdisjoint(path.parents))
