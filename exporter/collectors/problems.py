"""The known problems that a trainer's log tells while it runs: how many lines, since when, and when last.

The log is `trainer.log` in the run folder, and what the peer's `log` readers follow, with the log of rl-swarm's log-in
server beside it. A problem lasts until the trainer progresses; one that goes on beside progress until its log has told
nothing of it for long.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

from exporter.config import SidecarConfig
from exporter.metrics import Sample
from exporter.problems.classes import MARKERS
from exporter.problems.problem_class import Class
from exporter.problems.tally import PROGRESS_MARKERS, Tally
from exporter.progress.follower import Follower
from exporter.progress.markers import Words
from exporter.progress.record import ReadError
from exporter.run_folder import read_process_record

LOG_FILE = "trainer.log"
# It says why the chain refuses what a peer submits; the trainer's own log says no more than that it failed.
LOGIN_LOG = "yarn.log"
# Of each log in a collection, and of a processor: a log may grow by megabytes, all of them problems.
READ_BYTES = 1 << 14
MAX_SECONDS = 0.02
# Asking how long it took takes longer than a line.
LINES_AT_ONCE = 16
# A trainer tries again in each round what failed; rounds take minutes.
QUIET_SECONDS = 3600.0
_MARKERS = tuple(Words(marker.encode()) for marker in (*MARKERS, *PROGRESS_MARKERS))
_LAST_STEP = "trainer_last_step_timestamp_seconds"


class Collector:
    """Follows the logs by themselves: a reader of progress skips the lines that tell problems."""

    def __init__(
        self,
        run_dir: Path,
        list_followed: Callable[[], Sequence[Path]] = tuple,
        find_last_step: Callable[[float], float | None] = lambda now: None,
    ) -> None:
        """`list_followed` gives the logs of readers, `find_last_step` when the trainer last made one (Unix time)."""
        self._run_dir = run_dir
        self._list_followed = list_followed
        self._find_last_step = find_last_step
        self._logs: dict[Path, _Log] = {}
        self._totals: Counter[Class] = Counter()
        # Since when, and when last.
        self._lasting: dict[Class, tuple[float, float]] = {}
        self._last_step: float | None = None
        self._started_at: float | None = None

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self:
        readers = config.watch.readers.values() if config.watch else ()

        def list_followed() -> list[Path]:
            followed = [reader.followed for reader in readers if hasattr(reader, "followed")]
            return [*followed, *(beside for one in followed if (beside := one.with_name(LOGIN_LOG)).exists())]

        def find_last_step(now: float) -> float | None:
            try:
                found = (sample.value for sample in config.reported.read(now) if sample.name == _LAST_STEP)
                return next(found, None)
            except (OSError, ValueError):
                return None

        return cls(config.run_dir, list_followed, find_last_step)

    def collect(self, now: float) -> list[Sample]:
        self._forget_former_process()
        last_step = self._find_last_step(now)
        has_progressed = last_step != self._last_step
        self._last_step = last_step
        logs = list(self._update_logs())
        found: Counter[Class] = Counter()
        for log in logs:
            # What a console shows may stand in a file of the trainer's too: it is one line.
            found |= log.read(now, self._started_at)
            has_progressed |= log.tally.has_progressed
        self._totals += found
        self._drop(now, has_progressed=has_progressed)
        for log in logs:
            for problem in log.tally.counts:
                since, _ = self._lasting.get(problem, (log.read_at, 0.0))
                self._lasting[problem] = since, log.read_at
        return list(self._describe())

    def _forget_former_process(self) -> None:
        record = read_process_record(self._run_dir)
        started_at = record.started_at if record else None
        if started_at != self._started_at:
            self._started_at = started_at
            self._lasting = {one: times for one, times in self._lasting.items() if one.outlives_progress}

    def _update_logs(self) -> Iterator["_Log"]:
        own = self._run_dir / LOG_FILE
        paths = dict.fromkeys([*([] if own.is_symlink() else [own]), *self._list_followed()])
        self._logs = {path: self._logs.get(path) or _Log(path) for path in paths}
        yield from self._logs.values()

    def _drop(self, now: float, *, has_progressed: bool) -> None:
        self._lasting = {
            one: (since, last)
            for one, (since, last) in self._lasting.items()
            if (abs(now - last) <= QUIET_SECONDS if one.outlives_progress else not has_progressed)
        }

    def _describe(self) -> Iterator[Sample]:
        for problem, count in self._totals.items():
            yield Sample("trainer_known_problem_lines_total", {"problem": problem.name}, float(count))
        for problem, (since, last) in self._lasting.items():
            labels = {"problem": problem.name}
            yield Sample("trainer_known_problem_start_timestamp_seconds", labels, since)
            yield Sample("trainer_known_problem_timestamp_seconds", labels, last)


class _Log:
    """One log, and what a collection found in it."""

    def __init__(self, path: Path) -> None:
        self.tally = Tally()
        self.read_at = 0.0
        self._follower = Follower(path, tail_bytes=READ_BYTES, read_bytes=READ_BYTES)
        self._follower.markers = _MARKERS
        self._has_been_read = False

    def read(self, now: float, started_at: float | None) -> "Counter[Class]":
        """The lines of each problem; `tally` has those since the last progress in them.

        What stands in a log that is met for the first time is not counted: a sidecar before this one has counted it.
        Nor does it last if the trainer has been started since.
        """
        found: Counter[Class] = Counter()
        self.tally.counts, self.tally.has_progressed, self.read_at = {}, False, now
        latest = time.thread_time() + MAX_SECONDS
        try:
            for number, line in enumerate(self._follower.read(now)):
                problem = self.tally.take(line.rstrip("\r\n"))
                if problem is not None:
                    found[problem] += 1
                if number % LINES_AT_ONCE == LINES_AT_ONCE - 1 and time.thread_time() > latest:
                    break
        except ReadError:
            return found
        if self._has_been_read:
            return found
        self._has_been_read = True
        self.read_at = min(now, self._follower.modified or now)
        if started_at is not None and self.read_at < started_at:
            self.tally.counts = {}
        return Counter()
