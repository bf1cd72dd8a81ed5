"""Follows a running fleet until it must stop, and reports changes."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fleet.alert_loop.feed import Feed
from fleet.configuration.changes import ChangedFile
from fleet.console.log_tail import Reader
from fleet.console.screen import Screen
from fleet.console.view import STEADY_STATES, Row, clean, event_line, find_start_step, rows
from fleet.processes.files import RunError
from fleet.processes.state import ProcessState
from fleet.processes.supervisord import ControlError
from fleet.supervision.foreground import Fleet

_CHECK_SECONDS = 1.0
_RECORD_SECONDS = 5.0
# A restarted service that has run for this long is up.
_STABLE_SECONDS = 30.0
_LOG_LINES = 5
_LOG_TAIL_BYTES = 8192


class Watch:
    """Checks once a second, and keeps track of failed and restarted programs."""

    def __init__(self, fleet: Fleet, feed: Feed, screen: Screen, file: ChangedFile | None = None) -> None:
        self._fleet, self._feed, self._screen, self._file = fleet, feed, screen, file
        self._pids: dict[str, int] = {}
        self._failed: set[str] = set()
        self._restarted: dict[str, float] = {}
        self._log_ends: dict[str, int] = {}
        self._has_reported_finished = False
        self._record_at = 0.0
        self._logs = {peer.name: Reader(fleet.folder.log("peer", peer.name)) for peer in fleet.peers}
        self._start_steps: dict[str, str] = {}
        for log in self._logs.values():
            log.last(0)  # What earlier runs have written is not of this one.

    def run(self, must_stop: Callable[[], bool], until: float | None) -> int:
        """Until `must_stop()`, or `until` on the monotonic clock. The exit status: 1 if something could not start."""
        check_at = 0.0
        while not must_stop() and (until is None or time.monotonic() < until):
            if time.monotonic() >= check_at:
                check_at = time.monotonic() + _CHECK_SECONDS
                if not self._fleet.is_supervised():
                    self._screen.write(f"supervisord has exited; see {self._fleet.folder.supervisor_log}")
                    return 1
                self._check()
            time.sleep(0.1)
        return 1 if self._failed or self._restarted else 0

    def _check(self) -> None:
        now = time.monotonic()
        if now >= self._record_at:
            self._record_at = now + _RECORD_SECONDS
            self._fleet.remember_processes()
        try:
            processes = self._fleet.control.processes()
        except ControlError:
            processes = []
        for process in processes:
            self._report(process, now)
        for event in self._feed.new_events():
            self._screen.write(event_line(event))
        names = [peer.name for peer in self._fleet.peers]
        shown = rows(names, self._feed.status(), processes, self._read_start_steps())
        self._screen.show(shown, time.time())
        self._forget_restarts(shown, now)
        self._report_if_finished(processes)
        self._take_up_changes()

    def _take_up_changes(self) -> None:
        """Peers that were added to the file, by `peerwatch attach` or by hand, are watched at once."""
        loaded = self._file.read() if self._file else None
        if loaded is None:
            return
        if not loaded.is_usable:
            self._screen.write(f"{loaded.source} has changed and cannot be used: {loaded.lines()[0]}")
            return
        try:
            names = self._fleet.take_up(loaded)
            # Its restart is part of it.
            self._pids.pop("alerts", None)
        except (RunError, ControlError) as error:
            self._screen.write(f"{loaded.source} has changed, and its new peers are not watched yet: {error}")
            return
        if names:
            self._screen.write(f"now watching {', '.join(names)} too; other changes apply at the next start")
        else:
            self._screen.write(f"{loaded.source} has changed; its changes apply at the next start")

    def _read_start_steps(self) -> dict[str, str]:
        for name, log in self._logs.items():
            if step := find_start_step(log.new()):
                self._start_steps[name] = step
        return self._start_steps

    def _report(self, process: ProcessState, now: float) -> None:
        """Reports once that a program was given up, and each restart."""
        title = process.title
        if process.has_failed:
            if title not in self._failed:
                self._failed.add(title)
                self._report_with_log(f"{title} keeps failing and will not be restarted", process)
            return
        self._failed.discard(title)
        if process.pid and process.pid != self._pids.setdefault(title, process.pid):
            self._pids[title] = process.pid
            self._restarted[title] = now
            self._start_steps.pop(title.removeprefix("peer:"), None)
            self._report_with_log(f"{title} exited and was restarted", process)

    def _forget_restarts(self, shown: Sequence[Row], now: float) -> None:
        """A peer is up again once it trains, a service once it has run for a while."""
        for row in shown:
            if row.state in STEADY_STATES:
                self._restarted.pop(f"peer:{row.peer}", None)
        for title, at in list(self._restarted.items()):
            if not title.startswith("peer:") and now - at > _STABLE_SECONDS:
                del self._restarted[title]

    def _report_if_finished(self, processes: Sequence[ProcessState]) -> None:
        trainers = [process for process in processes if process.group == "peer"]
        if trainers and all(trainer.is_finished for trainer in trainers) and not self._has_reported_finished:
            self._has_reported_finished = True
            self._screen.write("all peers have finished; the status page stays up until Ctrl-C")

    def _report_with_log(self, headline: str, process: ProcessState) -> None:
        lines, self._log_ends[process.title] = tail(Path(process.log), self._log_ends.get(process.title, 0))
        self._screen.write(f"{headline}; {process.log} ends:" if lines else f"{headline}; see {process.log}")
        for line in lines:
            self._screen.write(f"  | {line}")


def tail(log: Path, since: int = 0) -> tuple[list[str], int]:
    """The last non-empty lines after the offset `since`, safe to print, and the new offset."""
    try:
        with log.open("rb") as file:
            size = log.stat().st_size
            start = since if since <= size else 0
            file.seek(max(start, size - _LOG_TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return [], 0
    found = [clean(line).rstrip() for line in text.splitlines() if line.strip()]
    return found[-_LOG_LINES:], size
