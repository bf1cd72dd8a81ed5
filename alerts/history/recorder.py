"""Writes the history in its own thread: the loop passes its samples on and never waits for a disk.

Samples that cannot be written are lost, which is logged once; recording resumes as soon as it can.
"""

import contextlib
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from alerts.engine.evaluate import AlertStates, Key
from alerts.history.folding import Folder
from alerts.history.samples import HistorySample, Subject, describe, pick
from alerts.history.settings import HistorySettings
from alerts.history.store import FILE, FORMAT, Store
from alerts.scraping.page import Page, Places
from exporter.files.database import Damaged, describe_error, explain, identify, set_aside

# At most so many evaluations wait for a slow disk, so that memory does not grow while it hangs.
MAX_WAITING = 64
# How long the thread may take to finish when the program ends.
CLOSE_SECONDS = 3.0
# A recurring failure is logged at most this often.
LOG_INTERVAL_SECONDS = 3600.0
_MAX_SHAPES = 64
_UNEXPLAINED_FAILURES = 2
_MAINTENANCE_SECONDS = 15.0

log = logging.getLogger(__name__)


class _Evaluation(NamedTuple):
    samples: Sequence[HistorySample]
    alert_states: AlertStates


class Recorder:
    """The history of one alert loop. `record` costs the loop microseconds.

    `problem` says why it cannot be written now; `aside` is the latest damaged file, of `set_aside_count`.
    """

    def __init__(self, state_dir: Path, settings: HistorySettings) -> None:
        self.path = state_dir / FILE
        self.problem = ""
        self.aside: Path | None = None
        self.set_aside_count = 0
        self._settings = settings
        self._waiting: queue.Queue[_Evaluation | None] = queue.Queue(MAX_WAITING)
        self._store: Store | None = None
        self._folder: Folder | None = None
        self._seen_at: dict[int, float] = {}
        self._picked: dict[int, tuple[Places, list[tuple[int, int]]]] = {}
        self._firing: dict[Key, int] = {}
        self._files: tuple[tuple[int, int] | None, ...] = ()
        self._unexplained: Counter[str] = Counter()
        self._is_suspect = True
        self._has_logged = False
        self._logged_at = -LOG_INTERVAL_SECONDS
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def record(self, samples: Sequence[HistorySample], alert_states: AlertStates) -> None:
        """Queues an evaluation; it is dropped while MAX_WAITING others wait for a slow disk."""
        try:
            self._waiting.put_nowait(_Evaluation(samples, alert_states))
        except queue.Full:
            return

    @property
    def waiting(self) -> int:
        """How many evaluations are not written yet."""
        return self._waiting.qsize()

    def suspect(self) -> None:
        """Reading the file failed: it is checked, and moved aside if it is damaged."""
        self._is_suspect = True

    def close(self) -> None:
        """Writes what is queued and ends the thread; gives up if the disk hangs."""
        try:
            self._waiting.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        maintained_at = time.monotonic()
        while True:
            try:
                evaluation = self._waiting.get(timeout=_MAINTENANCE_SECONDS)
                if evaluation is None:
                    break
                self._attempt("write", partial(self._write, evaluation))
            except queue.Empty:
                pass
            if time.monotonic() - maintained_at > _MAINTENANCE_SECONDS and self._waiting.empty():
                self._attempt("maintain", self._maintain)
                maintained_at = time.monotonic()
        self._shut()

    def _attempt(self, kind: str, work: Callable[[], None]) -> None:
        """Does one step of work on the file; a failure costs only that step."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  No failure of the history may end its thread or reach the loop.
            self._fail(kind, error)
        else:
            self._unexplained[kind] = 0

    def _maintain(self) -> None:
        self._open()[1].work(time.time())

    def _open(self) -> tuple[Store, Folder]:
        if self._store is not None and (self._is_suspect or self._files != identify(self.path)):
            if not self._is_suspect:
                log.warning("%s was deleted or replaced while it was in use: a new history is started", self.path)
            self._shut()  # What is written to a file that was removed is lost.
        if self._store is None or self._folder is None:
            self._store = Store(self.path, is_suspect=self._is_suspect)
            self._is_suspect = False
            self._folder = Folder(self._store, self._settings)
            self._files = identify(self.path)
            self._firing = {Key(*both): row for both, row in self._store.open_firings().items()}
        return self._store, self._folder

    def _shut(self) -> None:
        if self._store is not None:
            with contextlib.suppress(Exception):
                self._store.close()
        self._store, self._folder = None, None
        self._seen_at.clear()
        self._picked.clear()

    def _fail(self, kind: str, error: Exception) -> None:
        """Sets a damaged file aside. An error that says nothing of the file has it checked before the next step."""
        self._shut()
        fault = explain(error, self.path)
        if fault is None:
            self._unexplained[kind] += 1
            self._is_suspect = True
            # The check found nothing, yet it fails again: once, a new file is tried.
            if self._unexplained[kind] == _UNEXPLAINED_FAILURES:
                fault = Damaged(describe_error(error))
        if isinstance(fault, Damaged):
            try:
                self.aside = set_aside(self.path, FORMAT)
            except OSError as obstacle:
                fault = explain(obstacle, self.path)
            else:
                self.set_aside_count += 1
                self._is_suspect = False
                log.error("%s is damaged (%s): kept as %s, a new history is started", self.path, fault, self.aside.name)
                return
        self.problem = str(fault or describe_error(error))
        if time.monotonic() - self._logged_at >= LOG_INTERVAL_SECONDS:
            log.error("history: cannot write (%s); alerts are not affected", self.problem)
            self._has_logged, self._logged_at = True, time.monotonic()

    def _write(self, evaluation: _Evaluation) -> None:
        store, _ = self._open()
        with store.transaction():
            self._add_samples(store, evaluation)
            self._note_firings(store, evaluation)
        if self._has_logged:
            log.info("history: recording resumed")
        self._has_logged, self.problem = False, ""

    def _add_samples(self, store: Store, evaluation: _Evaluation) -> None:
        by_time: dict[float, dict[int, dict[int, float]]] = {}
        for sample in evaluation.samples:
            view = sample.view
            subject = store.subject_id(Subject(view.scope, view.peer))
            before = self._seen_at.get(subject)
            numbers = self._pick(store, view.page)
            for series, value in describe(sample, None if before is None else view.now - before):
                number = store.series_id(series)
                if number is not None:
                    numbers[number] = value
            by_time.setdefault(view.now, {})[subject] = numbers
            self._seen_at[subject] = view.now
        for at, frames in by_time.items():
            store.add_samples(at, frames)

    def _pick(self, store: Store, page: Page | None) -> dict[int, float]:
        """The values of a page that are kept, by the id of their series."""
        if page is None:
            return {}
        places = page.places
        known = self._picked.get(id(places))
        if known is None:
            if len(self._picked) >= _MAX_SHAPES:
                self._picked.clear()
            numbered = ((store.series_id(series), place) for series, place in pick(places))
            # While the shape is referenced here, no other can have its id.
            known = (places, [(number, place) for number, place in numbered if number is not None])
            self._picked[id(places)] = known
        numbers = page.numbers
        return {number: numbers[place] for number, place in known[1]}

    def _note_firings(self, store: Store, evaluation: _Evaluation) -> None:
        now = max((sample.view.now for sample in evaluation.samples), default=time.time())
        firing = {key: state for key, state in evaluation.alert_states.states.items() if state.phase == "firing"}
        for gone in self._firing.keys() - firing.keys():
            store.end_firing(self._firing.pop(gone), now)
        for key, state in firing.items():
            if key not in self._firing:
                self._firing[key] = store.begin_firing(key.rule, key.peer, state.severity, state.summary, now)
