"""What some tests need of the system: programs, rights, a small disk."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest

# The Debian package that brings each program.
PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "buildah": "buildah",
    "chromium": "chromium",
    "dbus-daemon": "dbus",
    "faketime": "faketime",
    "ip": "iproute2",
    "kubectl": "kubernetes-client",
    "loginctl": "systemd",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "plistutil": "libplist-utils",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "promtool": "prometheus",
    "setpriv": "util-linux",
    "slirp4netns": "slirp4netns",
    "systemctl": "systemd",
    "systemd-analyze": "systemd",
    "unshare": "util-linux",
}
_NEEDS = "needs the program "


def require(program: str) -> str:
    """The path of `program`; skips the test if it is absent, and fails it if the run allows no skip."""
    path = shutil.which(program)
    if path is None:
        go_without(_NEEDS + program)
    return path


def describe_skips(reasons: Iterable[str]) -> str:
    """One line: how many tests were skipped for a missing program, and what installs it; empty if none was."""
    missing = [reason.partition(_NEEDS)[2] for reason in reasons if _NEEDS in reason]
    if not missing:
        return ""
    programs = sorted(set(missing))
    packages = sorted({PACKAGES[program] for program in programs})
    tests = "1 test" if len(missing) == 1 else f"{len(missing)} tests"
    what = "it" if len(programs) == 1 else "them"
    return f"skipped {tests}: no {', '.join(programs)}; apt-get install {' '.join(packages)} brings {what}"


def go_without(reason: str) -> NoReturn:
    """Skips the test, and fails it if the run allows no skip."""
    if os.environ.get("PEERWATCH_NO_SKIP"):
        pytest.fail(f"{reason}; this run allows no skip")
    pytest.skip(reason)


def small_disk(mount_options: str, folder: Path) -> tuple[str, ...]:
    """What to put before a command for a small disk of its own at `folder`, such as `size=64k` or `ro`."""
    script = f'mount -t tmpfs -o {mount_options} none "$0" && exec "$@"'
    wrapper = (require("unshare"), "--user", "--map-root-user", "--mount", "sh", "-c", script, str(folder))
    if subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode != 0:
        go_without("this system does not allow mounting a file system: a full disk cannot be made")
    return wrapper
