"""Follows a running fleet until it is told to stop, and reports what changes."""

import time
from collections.abc import Callable
from pathlib import Path

from fleet.control import ControlError, ProcessState
from fleet.feed import Feed
from fleet.run import Fleet
from fleet.screen import Screen
from fleet.view import clean, event_line, rows

_LOOK_SECONDS = 1.0
_REMEMBER_SECONDS = 5.0
_LOG_LINES = 5
_LOG_TAIL_BYTES = 8192


class Watch:
    """Looks once a second; knows which programs have failed."""

    def __init__(self, fleet: Fleet, feed: Feed, screen: Screen) -> None:
        self._fleet, self._feed, self._screen = fleet, feed, screen
        self._pids: dict[str, int] = {}
        self._failed: dict[str, str] = {}
        self._has_said_finished = False
        self._remember_at = 0.0

    def run(self, must_stop: Callable[[], bool], until: float | None) -> int:
        """Until `must_stop()`, or `until` on the monotonic clock. The exit status: 1 if something failed for good."""
        look_at = 0.0
        while not must_stop() and (until is None or time.monotonic() < until):
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + _LOOK_SECONDS
                if not self._fleet.is_supervised():
                    self._screen.say(f"supervisord has ended; see {self._fleet.folder.supervisor_log}")
                    return 1
                self._look()
            time.sleep(0.1)
        return 1 if self._failed else 0

    def _look(self) -> None:
        if time.monotonic() >= self._remember_at:
            self._remember_at = time.monotonic() + _REMEMBER_SECONDS
            self._fleet.remember_processes()
        try:
            processes = self._fleet.control.processes()
        except ControlError:
            processes = []
        for process in processes:
            self._report(process)
        names = [peer.name for peer in self._fleet.peers]
        for event in self._feed.new_events():
            self._screen.say(event_line(event))
        self._screen.show(rows(names, self._feed.status(), processes), time.time())
        trainers = [process for process in processes if process.group == "peer"]
        if trainers and all(trainer.is_finished for trainer in trainers) and not self._has_said_finished:
            self._has_said_finished = True
            self._screen.say("every peer has finished its run; the pages stay until Ctrl-C")

    def _report(self, process: ProcessState) -> None:
        """Says once that a program was given up, and each time that supervisord had to start it again."""
        title, last = process.title, self._pids.get(process.title)
        if process.has_failed:
            if self._failed.get(title) != process.state:
                self._failed[title] = process.state
                code = f" with exit code {process.exit_code}" if process.state == "EXITED" else ""
                self._say_log(
                    f"{title} has failed{code} and is not started again; its log {process.log} ends:", process
                )
            return
        self._failed.pop(title, None)
        if last and process.pid and process.pid != last:
            self._say_log(f"{title} ended and is started again; its log {process.log} ends:", process)
        if process.pid:
            self._pids[title] = process.pid

    def _say_log(self, headline: str, process: ProcessState) -> None:
        self._screen.say(headline)
        for line in tail(Path(process.log)):
            self._screen.say(f"  | {line}")


def tail(log: Path, lines: int = _LOG_LINES) -> list[str]:
    """The last lines that say something, safe to print."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return [f"(cannot be read: {error.strerror})"]
    found = [clean(line).rstrip() for line in text.splitlines() if line.strip()]
    return found[-lines:]
