"""Writes the history on a thread of its own: the loop hands over what it saw and never waits for a disk.

What cannot be written is lost, with one line in the log, and the loop goes on; so does the history as soon as it can.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from alerts.engine.evaluate import AlertStates, Key
from alerts.history.folding import Folder
from alerts.history.samples import HistorySample, Subject, describe, pick
from alerts.history.settings import HistorySettings
from alerts.history.store import FILE, FileError, Store, is_damage
from alerts.scraping.page import Page, Places

# At most so many evaluations wait for a slow disk; the loop's memory must not grow while it hangs.
MAX_WAITING = 64
# How long the thread may go on with an evaluation that is written while the program ends.
CLOSE_SECONDS = 3.0
# A disk that is full now and then is told of once in a while.
QUIET_SECONDS = 3600.0
_MAX_SHAPES = 64
_UPKEEP_SECONDS = 15.0

log = logging.getLogger(__name__)


class _Evaluation(NamedTuple):
    looks: Sequence[HistorySample]
    alert_states: AlertStates


class Recorder:
    """The history of one alert loop. `record` costs the loop microseconds."""

    def __init__(self, state_dir: Path, settings: HistorySettings) -> None:
        self.path = state_dir / FILE
        self._settings = settings
        self._waiting: queue.Queue[_Evaluation | None] = queue.Queue(MAX_WAITING)
        self._store: Store | None = None
        self._folder: Folder | None = None
        self._seen_at: dict[int, float] = {}
        self._picked: dict[int, tuple[Places, list[tuple[int, int]]]] = {}
        self._firing: dict[Key, int] = {}
        self._file: tuple[int, int] | None = None
        self._is_suspect = True
        self._is_told = False
        self._told_at = -QUIET_SECONDS
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def record(self, looks: Sequence[HistorySample], alert_states: AlertStates) -> None:
        """Keeps an evaluation; it is dropped where the disk has been too slow for the last ones."""
        try:
            self._waiting.put_nowait(_Evaluation(looks, alert_states))
        except queue.Full:
            return

    def suspect(self) -> None:
        """Somebody could not read the file: it is looked through, and set aside if it is damaged."""
        self._is_suspect = True

    def close(self) -> None:
        """Writes what waits, and ends the thread; gives up where the disk hangs."""
        try:
            self._waiting.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        kept_up_at = time.monotonic()
        while True:
            try:
                evaluation = self._waiting.get(timeout=_UPKEEP_SECONDS)
                if evaluation is None:
                    break
                self._attempt(partial(self._write, evaluation))
            except queue.Empty:
                pass
            if time.monotonic() - kept_up_at > _UPKEEP_SECONDS and self._waiting.empty():
                self._attempt(self._keep_up)
                kept_up_at = time.monotonic()
        self._shut()

    def _attempt(self, work: Callable[[], None]) -> None:
        """Does a piece of work on the file; whatever fails costs only that."""
        try:
            work()
        except (FileError, OSError) as error:
            self._fail(error)
        except Exception:  # The fence: no trouble with the history may end it, or reach the loop.
            log.exception("the history failed; alerts go on without it")
            self._shut()

    def _keep_up(self) -> None:
        self._open()[1].work(time.time())

    def _open(self) -> tuple[Store, Folder]:
        if self._store is not None and (self._is_suspect or self._file != _identify(self.path)):
            self._shut()  # Where somebody took the file away, what is written to it would be lost.
        if self._store is None or self._folder is None:
            self._store = Store(self.path, is_suspect=self._is_suspect)
            self._is_suspect = False
            self._folder = Folder(self._store, self._settings)
            self._file = _identify(self.path)
            self._firing = {Key(*both): row for both, row in self._store.open_firings().items()}
        return self._store, self._folder

    def _shut(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store, self._folder = None, None
        self._seen_at.clear()
        self._picked.clear()

    def _fail(self, error: Exception) -> None:
        self._shut()
        told = f"the history cannot be written ({error}); alerts go on without it"
        if is_damage(error):
            self._is_suspect = False
            aside = _set_aside(self.path)
            told = f"{self.path} cannot be used ({error}): kept as {aside.name}, the history begins anew"
        if time.monotonic() - self._told_at >= QUIET_SECONDS:
            log.error("%s", told)
            self._is_told, self._told_at = True, time.monotonic()

    def _write(self, evaluation: _Evaluation) -> None:
        store, _ = self._open()
        with store.transaction():
            self._add_looks(store, evaluation)
            self._note_firings(store, evaluation)
        if self._is_told:
            log.info("the history goes on")
        self._is_told = False

    def _add_looks(self, store: Store, evaluation: _Evaluation) -> None:
        by_time: dict[float, dict[int, dict[int, float]]] = {}
        for look in evaluation.looks:
            view = look.view
            subject = store.subject_id(Subject(view.scope, view.peer))
            before = self._seen_at.get(subject)
            numbers = self._pick(store, view.page)
            for series, value in describe(look, None if before is None else view.now - before):
                number = store.series_id(series)
                if number is not None:
                    numbers[number] = value
            by_time.setdefault(view.now, {})[subject] = numbers
            self._seen_at[subject] = view.now
        for at, frames in by_time.items():
            store.add_looks(at, frames)

    def _pick(self, store: Store, page: Page | None) -> dict[int, float]:
        """The numbers of a page that are kept, by the number of their series."""
        if page is None:
            return {}
        places = page.places
        known = self._picked.get(id(places))
        if known is None:
            if len(self._picked) >= _MAX_SHAPES:
                self._picked.clear()
            numbered = ((store.series_id(series), place) for series, place in pick(places))
            # With the shape itself kept, no other can have its id.
            known = (places, [(number, place) for number, place in numbered if number is not None])
            self._picked[id(places)] = known
        numbers = page.numbers
        return {number: numbers[place] for number, place in known[1]}

    def _note_firings(self, store: Store, evaluation: _Evaluation) -> None:
        now = max((look.view.now for look in evaluation.looks), default=time.time())
        firing = {key: state for key, state in evaluation.alert_states.states.items() if state.phase == "firing"}
        for gone in self._firing.keys() - firing.keys():
            store.end_firing(self._firing.pop(gone), now)
        for key, state in firing.items():
            if key not in self._firing:
                self._firing[key] = store.begin_firing(key.rule, key.peer, state.severity, state.summary, now)


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _set_aside(path: Path) -> Path:
    """Renames the file with what belongs to it, in the place of the one that was set aside before."""
    aside = path.with_name(f"{path.name}.damaged")
    for suffix in ("", "-wal", "-shm"):
        part, there = path.with_name(path.name + suffix), aside.with_name(aside.name + suffix)
        there.unlink(missing_ok=True)
        if part.exists():
            part.rename(there)
    return aside
