"""hivemind's network daemon starts, on loopback."""

import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fleet.doctor.findings import Finding, failure, ok
from fleet.doctor.site import ProbeError, Site

# As long as a trainer waits for it: a busy machine is no broken daemon.
START_SECONDS = 60.0
_READ_BYTES = 1 << 16
_CODE = """
import importlib.util, pathlib
found = importlib.util.find_spec("hivemind")
print(pathlib.Path(found.origin).parent / "hivemind_cli" / "p2pd" if found and found.origin else "")
"""
_REINSTALL = "pip install --force-reinstall --no-deps hivemind in this environment"


IS_ABOUT_OUR_TRAINERS = True


def examine(site: Site) -> Iterator[Finding]:
    try:
        path = site.run_python(_CODE).strip()
    except ProbeError as error:
        yield failure(f"cannot look up hivemind: {error}", _REINSTALL)
        return
    if not path:
        yield failure("hivemind is not installed", "pip install 'peerwatch[trainer]' in this environment")
        return
    try:
        seconds = _start(Path(path))
    except ProbeError as error:
        yield failure(f"p2pd does not run: {error}", _REINSTALL)
        return
    yield ok(f"p2pd runs; ready after {seconds:.1f} s")


def _start(program: Path) -> float:
    """Seconds until the daemon named its peer id. Raises ProbeError."""
    # Not TMPDIR, which on a Mac is longer than the path of a socket may be.
    folder = tempfile.mkdtemp(prefix="peerwatch-", dir="/tmp")
    command = [str(program), f"-listen=/unix/{folder}/p2pd.sock", "-hostAddrs=/ip4/127.0.0.1/tcp/0"]
    # If the doctor is killed, the daemon exits without a client.
    command.append(f"-idleTimeout={START_SECONDS:g}s")
    began = time.monotonic()
    try:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ProbeError(f"{program}: {error.strerror}") from None
    assert daemon.stdout is not None
    try:
        _wait_for_id(daemon.stdout.fileno())
        return time.monotonic() - began
    finally:
        daemon.kill()
        daemon.wait()
        # Not read to its end: a child of the daemon may hold it open.
        daemon.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_id(output: int) -> None:
    """Until the daemon named its peer id. Raises ProbeError."""
    deadline, text = time.monotonic() + START_SECONDS, b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([output], [], [], left)[0]:
            raise ProbeError(f"not ready within {START_SECONDS:g} s")
        part = os.read(output, _READ_BYTES)
        text = (text + part)[-_READ_BYTES:]
        if re.search(rb"^Peer ID:", text, re.MULTILINE):
            return
        if not part:
            lines = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
            raise ProbeError(lines[-1][:200] if lines else "no output")
