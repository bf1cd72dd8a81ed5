"""Runs a fleet in the foreground: writes its files, starts its processes and ends them."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from alerts.config import TOKEN_FILE
from alerts.export.prometheus import render_rules
from exporter.files import file_lock
from exporter.run_folder import METRICS_FILE
from exporter.system.process_identity import ProcessIdentity, find_process, identify
from fleet.alert_loop.prometheus_access import prometheus_access
from fleet.configuration.compose import Composition, alerts_url, compose
from fleet.configuration.load import Loaded
from fleet.managers.supervisor import render
from fleet.processes.files import RunError, configurations, make_folders, make_private, to_yaml, write
from fleet.processes.leftovers import below, end
from fleet.processes.owner import OWNER_VARIABLE, owned_by
from fleet.processes.programs import PROMETHEUS_FILE, plan_programs
from fleet.processes.supervisord import Control, ControlError
from fleet.state_folder import StateFolder
from grafana.prometheus import RULES_FILE, configuration

# Ctrl-C has to leave nothing behind within 15 s, on a busy machine too; supervisord itself kills after 11 s.
_STOP_SECONDS = 12.0


@contextlib.contextmanager
def locked(folder: StateFolder) -> Iterator[None]:
    """Locks the state folder for one `up`. Raises RunError if another one holds it, or it cannot be locked."""
    make_private(folder.root)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock.locked(folder.lock))
            file_lock.check_locks(folder.root)
        except file_lock.LockTakenError:
            raise _is_running(folder) from None
        except file_lock.NoLocksError as error:
            raise RunError(str(error)) from None
        except OSError as error:
            raise RunError(f"cannot write to {folder.root}: {error.strerror}; use --state-dir") from None
        yield


def refuse_beside_up(folder: StateFolder) -> None:
    """What `locked` does, for who changes nothing and therefore makes no lock. Raises RunError."""
    if is_up(folder):
        raise _is_running(folder)


def _is_running(folder: StateFolder) -> RunError:
    pid = _read_record(folder).get("pid")
    who = f" (pid {pid})" if pid else ""
    return RunError(f"a fleet is already running in {folder.root}{who}; stop it first, or use --state-dir")


def is_up(folder: StateFolder) -> bool:
    """Whether supervisord of this state folder answers, or its `up` is still alive."""
    record = _read_record(folder)
    recorded = [ProcessIdentity.from_record(record, who) for who in ("", "supervisord_")]
    return any(find_process(identity) for identity in recorded if identity)


def end_earlier(folder: StateFolder) -> int:
    """Ends the processes left by a killed `up`; returns their number. Call it while holding the lock."""
    record = _read_record(folder)
    owner = record.get("owner")
    if not isinstance(owner, str) or not owner:
        return 0
    left = owned_by(owner)
    recorded = ProcessIdentity.from_record(record, "supervisord_")
    if recorded and (supervisord := find_process(recorded)):
        left += [process for process in below(supervisord.pid) if process not in left]
        end([supervisord], grace_seconds=_STOP_SECONDS)
    end(left, grace_seconds=2)
    folder.run_record.unlink(missing_ok=True)
    return len(left)


def record_run(folder: StateFolder, owner: str, supervisord: int | None = None) -> None:
    """Records this process as what runs the fleet, so that its processes are found if it is killed. Raises OSError."""
    record: dict[str, Any] = identify().as_record() | {"owner": owner}
    with contextlib.suppress(psutil.Error):
        record |= identify(supervisord).as_record("supervisord_") if supervisord is not None else {}
    write(folder.run_record, json.dumps(record))


class Fleet:
    """One run of a fleet, from its files to its last process."""

    def __init__(self, loaded: Loaded) -> None:
        assert loaded.config is not None
        self.config, self.peers, self.folder = loaded.config, loaded.peers, loaded.folder
        self._base, self._prometheus = loaded.base, loaded.prometheus
        self._owner = secrets.token_hex(16)
        self._supervisord: subprocess.Popen[bytes] | None = None
        self._seen: set[psutil.Process] = set()
        self.control = Control(self.folder.socket)

    def write(self) -> None:
        """Everything that the processes read. Raises RunError."""
        try:
            self._forget_earlier_runs()
        except OSError as error:
            raise RunError(f"{error.filename}: {error.strerror}; use --state-dir") from None
        self._write()

    def take_up(self, loaded: Loaded) -> list[str]:
        """Starts the peers that a changed file has besides, and lets the alert loop know them; their names.

        Nothing else of the file is applied: who edits it while trainers run does not expect one to restart. Raises
        RunError and ControlError.
        """
        known = {peer.name for peer in self.peers}
        new = tuple(peer for peer in loaded.peers if peer.name not in known and peer.watched is not None)
        if not new:
            return []
        taken = {port for peer in self.peers for port in (peer.trainer_port, peer.sidecar_port)}
        for peer in new:
            if peer.sidecar_port in taken:
                raise RunError(f"peer {peer.name}: port {peer.sidecar_port} is another peer's until the next start")
        self.peers = (*self.peers, *new)
        self._write()
        for group in self.control.reread():
            self.control.add(group)
        self.control.restart("alerts", _STOP_SECONDS)
        return [peer.name for peer in new]

    def _write(self) -> None:
        try:
            peer_ids = make_folders(self.folder, self.peers)
            composition = compose(self.config, self.peers, self.folder, self._base, peer_ids)
            for path, text in configurations(composition, self.folder).values():
                write(path, text)
            if self._prometheus:
                self._write_prometheus(composition)
            programs = plan_programs(
                self.config, self.peers, self.folder, self._owner, base=self._base, prometheus=self._prometheus
            )
            write(self.folder.supervisor_config, render(programs, self.folder))
        except (OSError, ValueError) as error:
            raise RunError(str(error)) from None

    def start(self) -> None:
        """Starts supervisord, which starts the rest. Raises RunError if it exits at once, or cannot be started."""
        try:
            self._start()
        except OSError as error:
            raise RunError(f"cannot start the fleet in {self.folder.root}: {error}") from None

    def _start(self) -> None:
        output = self.folder.root / "supervisord.out"
        command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(self.folder.supervisor_config)]
        record_run(self.folder, self._owner)
        with output.open("wb") as sink:
            # In its own session: Ctrl-C reaches `up` alone, which then ends the rest in order.
            self._supervisord = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self.folder.root,
                env=os.environ | {OWNER_VARIABLE: f"{self._owner}/supervisord", "PYTHONSAFEPATH": "1"},
                start_new_session=True,
            )
        record_run(self.folder, self._owner, self._supervisord.pid)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self._supervisord.poll() is not None:
                raise RunError(f"supervisord exited at once: {_last_line(output)}")
            with contextlib.suppress(ControlError):
                self.control.processes()
                return
            time.sleep(0.1)
        raise RunError(f"supervisord does not answer on {self.folder.socket}; see {self.folder.supervisor_log}")

    def is_supervised(self) -> bool:
        return self._supervisord is not None and self._supervisord.poll() is None

    def remember_processes(self) -> None:
        """Records all descendants while they are still descendants, so that none is missed at the end."""
        if self._supervisord is not None:
            self._seen = {process for process in self._seen if process.is_running()}
            self._seen.update(below(self._supervisord.pid))

    def stop(self, is_forced: Any) -> None:
        """Ends everything within 15 s; at once if `is_forced()` is true."""
        self.remember_processes()
        supervisord = self._supervisord
        if supervisord is not None and supervisord.poll() is None:
            with contextlib.suppress(ControlError):
                self.control.stop_all()
            supervisord.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            while supervisord.poll() is None and time.monotonic() < deadline and not is_forced():
                time.sleep(0.1)
            if supervisord.poll() is None:
                supervisord.kill()
                supervisord.wait()
        self._seen.update(owned_by(self._owner))
        end(self._seen, grace_seconds=0.5)
        self.folder.run_record.unlink(missing_ok=True)

    def _forget_earlier_runs(self) -> None:
        """Removes their start records and metrics, which must not pass for this run's while a trainer loads."""
        for record in self.folder.launches.glob("*.json"):
            record.unlink()
        for peer in self.peers:
            (self.folder.peer(peer.name) / METRICS_FILE).unlink(missing_ok=True)

    def _write_prometheus(self, composition: Composition) -> None:
        """Its configuration and rules with this fleet's thresholds; its data stays."""
        assert composition.alerts is not None
        make_private(self.folder.prometheus)
        interval = self.config.prometheus.scrape_interval
        content = configuration(
            alerts_url(self.config),
            interval_seconds=interval,
            access=prometheus_access(composition.alerts, self.folder.alerts / TOKEN_FILE),
        )
        write(self.folder.prometheus / PROMETHEUS_FILE, to_yaml(content))
        write(self.folder.prometheus / RULES_FILE, render_rules(composition.alerts.rules))


def _read_record(folder: StateFolder) -> dict[str, Any]:
    try:
        record = json.loads(folder.run_record.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"
