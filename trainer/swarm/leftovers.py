"""Cleans up after an earlier run: its DHT process, its p2pd, and their unix sockets."""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import psutil

from exporter.run_folder import read_bounded, write_atomically
from exporter.system.process_identity import ProcessIdentity, find_process, identify

DHT_FILE = "dht.json"
_LISTEN = "-listen=/unix"
_SOCKET_NAME = "hivemind-p2p"


def record_dht_process(run_dir: Path, sockets: Sequence[Path]) -> None:
    """Records the calling process as the DHT process of this run folder. Raises OSError."""
    record = identify().as_record() | {"sockets": [str(path) for path in sockets]}
    write_atomically(run_dir / DHT_FILE, json.dumps(record).encode())


def end_leftovers(run_dir: Path, identity_path: Path, *, grace_seconds: float = 2.0) -> None:
    """Waits for the recorded DHT process and this identity's p2pd to exit, kills them, and removes their sockets."""
    recorded, sockets = _read_record(run_dir)
    processes = [*recorded, *_daemons(identity_path)]
    sockets += [path for process in processes for path in daemon_sockets(process)]
    _, alive = psutil.wait_procs(processes, timeout=grace_seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=3.0)
    for path in sockets:
        with contextlib.suppress(OSError):
            if path.name.startswith(_SOCKET_NAME) and path.is_socket():
                path.unlink()


def find_daemon(dht: psutil.Process) -> psutil.Process | None:
    """The p2pd of a DHT process; torch may have started other children."""
    return next((child for child in dht.children() if daemon_sockets(child)), None)


def daemon_sockets(daemon: psutil.Process | None) -> list[Path]:
    """The unix sockets in the arguments of a p2pd; it leaves them behind when it is killed."""
    try:
        arguments = daemon.cmdline() if daemon else []
    except psutil.Error:
        return []
    return [Path(argument.removeprefix(_LISTEN)) for argument in arguments if argument.startswith(_LISTEN)]


def _read_record(run_dir: Path) -> tuple[list[psutil.Process], list[Path]]:
    try:
        record = json.loads(read_bounded(run_dir / DHT_FILE, 4096))
        sockets = [Path(str(path)) for path in record["sockets"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return [], []
    identity = ProcessIdentity.from_record(record)
    process = find_process(identity) if identity else None
    return [process] if process and process.pid != os.getpid() else [], sockets


def _daemons(identity_path: Path) -> list[psutil.Process]:
    """p2pd processes with the path of this identity in their arguments, which is unique to a peer."""
    identity = f"-id={identity_path}"
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if identity in (process.info["cmdline"] or ()) and process.pid != os.getpid()
    ]
