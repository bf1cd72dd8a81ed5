"""hivemind's network daemon starts, on loopback."""

import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from fleet.doctor.findings import Finding, failure, ok
from fleet.doctor.site import ProbeError, Site

START_SECONDS = 20.0
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
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ProbeError(f"{program}: {error.strerror}") from None
    try:
        _wait_for_id(daemon)
        return time.monotonic() - began
    finally:
        daemon.kill()
        daemon.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_id(daemon: "subprocess.Popen[str]") -> None:
    assert daemon.stdout is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    output = daemon.stdout

    def read() -> None:
        for line in output:
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    deadline, last = time.monotonic() + START_SECONDS, "no output"
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise ProbeError(f"not ready within {START_SECONDS:g} s") from None
        if line is None:
            raise ProbeError(last)
        if line.startswith("Peer ID:"):
            return
        last = line.strip()[:200] or last
