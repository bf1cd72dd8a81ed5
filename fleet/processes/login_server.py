"""Keeps the log-in server of a checkout of rl-swarm running, and its log-in from being removed.

One serves all trainers of an account. Where somebody has started one already, that one is left alone, and another is
started when it is gone. The launch script removes the log-in when it ends; it is put back.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from exporter.plain_output import allow_any_text
from fleet.processes.launch import WRONG_CONFIGURATION_EXIT_CODE
from fleet.rl_swarm.login import FOLDER, keep

CHECK_SECONDS = 2.0
STOP_SECONDS = 5.0
_STARTERS = (("yarn", "start"), ("npm", "run", "start"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Ends with the server that it has started, or by a signal."""
    allow_any_text()
    parser = argparse.ArgumentParser(
        prog="python -m fleet.processes.login_server",
        description="Keep the log-in server of a checkout of rl-swarm running.",
        epilog="example: python -m fleet.processes.login_server --checkout rl-swarm --port 3000 --store login",
    )
    parser.add_argument("--checkout", type=Path, required=True, metavar="DIR")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", type=Path, required=True, metavar="DIR", help="where copies of the log-in are kept")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if _is_served(given.port):
        _say(f"port {given.port} is served already; that server is used")
    while _is_served(given.port):
        _keep(given.checkout, given.store)
        time.sleep(CHECK_SECONDS)
    return _serve(given.checkout, given.port, given.store)


def _serve(checkout: Path, port: int, store: Path) -> int:
    command = next((one for one in _STARTERS if shutil.which(one[0])), None)
    if command is None or not (checkout / FOLDER).is_dir():
        what = "neither yarn nor npm is installed" if command is None else f"{checkout} has no {FOLDER}"
        _say(f"the log-in server cannot run: {what}; run the launch script of rl-swarm once, which installs it")
        return WRONG_CONFIGURATION_EXIT_CODE
    _keep(checkout, store)
    process = subprocess.Popen(
        command,
        cwd=checkout / FOLDER,
        env=os.environ | {"PORT": str(port)},
        stdin=subprocess.DEVNULL,
        # yarn starts node, which must end with it.
        start_new_session=True,
    )
    try:
        while process.poll() is None:
            _keep(checkout, store)
            time.sleep(CHECK_SECONDS)
    finally:
        _end(process)
    # A server that ends is to be started again, whatever it says.
    return process.returncode if process.returncode > 0 else 1


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def _is_served(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port), timeout=2).close()
    except OSError:
        return False
    return True


def _keep(checkout: Path, store: Path) -> None:
    try:
        if restored := keep(checkout, store):
            _say(f"put back {', '.join(restored)}, which the launch script had removed")
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}")


def _say(message: str) -> None:
    print(f"peerwatch: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
