"""What of the system some tests need: programs, rights, a disk that is small."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def require(program: str) -> str:
    """The path of `program`; skips the test where it is absent, and fails it where the run allows no skip."""
    path = shutil.which(program)
    if path is None:
        go_without(f"needs {program}; .ci/run names the Debian packages that the tests use")
    return path


def go_without(reason: str) -> NoReturn:
    """Skips the test, and fails it where the run allows no skip."""
    if os.environ.get("PEERWATCH_NO_SKIP"):
        pytest.fail(f"{reason}; this run allows no skip")
    pytest.skip(reason)


def small_disk(mount_options: str, folder: Path) -> tuple[str, ...]:
    """What to put before a command for a small disk of its own at `folder`, such as `size=64k` or `ro`."""
    script = f'mount -t tmpfs -o {mount_options} none "$0" && exec "$@"'
    wrapper = (require("unshare"), "--user", "--map-root-user", "--mount", "sh", "-c", script, str(folder))
    if subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode != 0:
        go_without("this system lets nobody mount a file system of his own: a full disk cannot be made")
    return wrapper
