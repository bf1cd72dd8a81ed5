"""Turns what the readers of one trainer find into the samples that its own telemetry would write."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median_low

from exporter.metrics import SETTINGS, Sample
from exporter.pace import Pace
from exporter.progress.model import RESTING, Progress
from exporter.progress.record import Reader, ReadError, Record
from exporter.progress.run_settings import clean_settings

log = logging.getLogger(__name__)

# A reader that goes back further than this follows a trainer that has begun again.
REPEATED_STEPS = 1
# The usual number of steps between two reports is that of the latest.
GAPS = 32
# Times are of one clock until they go back further than this: then it was set.
CLOCK_SET_SECONDS = 60.0
# Readers of one trainer are at different reports for a moment; after so many collections they disagree.
DISAGREEING_COLLECTIONS = 5
# A trainer that says again and again that it waits is alive; but for so long no swarm lets one wait.
LONGEST_REST_SECONDS = 6 * 3600.0


class ReportedProgress:
    """The progress of a trainer that does not report it itself, by all of its readers: what is new to any counts.

    Durations are between the times of reports; a report without a time counts from when it was read. What a file
    without times holds at the first read says nothing about the pace. Where no reader knows steps, reports count.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader],
        pace: Pace | None = None,
        *,
        started_at: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`started_at` gives the Unix time at which the present process of the trainer began; None if unknown."""
        self._started_at = started_at
        self._began_at: float | None = None
        self._sources = [_Source(name, reader) for name, reader in readers.items()]
        self._pace = pace
        self._progress: Progress | None = None
        # The instant that the model takes for the present one.
        self._at = 0.0
        self._rest_began_at = 0.0
        self._step: int | None = None
        self._unit: str | None = None
        self._expected_steps: int | None = None
        self._gaps: deque[int] = deque(maxlen=GAPS)
        self._disagreed = 0
        self._last: tuple[float, list[Sample]] | None = None

    def read(self, now: float) -> list[Sample]:
        """The samples for the collection at the Unix time `now`; all callers in one collection get the same."""
        if self._last is None or self._last[0] != now:
            self._last = now, self._read(now)
        return self._last[1]

    def _read(self, now: float) -> list[Sample]:
        if self._progress is None or now < self._at - CLOCK_SET_SECONDS:
            self._at = now
        if self._progress is None:
            self._progress = Progress(self._pace, clock=lambda: self._at, wall_clock=lambda: self._at)
        self._follow_process(self._progress)
        found = [(record, source) for source in self._sources for record in source.read(now)]
        for record, source in _by_time(found):
            self._take(self._progress, record, source, now)
        for source in self._sources:
            source.has_been_read = True
        self._compare()
        return self._describe(self._progress, now)

    def _take(self, progress: Progress, record: Record, source: "_Source", now: float) -> None:
        if record.round is not None:
            progress.take_place(record.round, record.stage)
        if record.is_notice:
            self._take_notice(progress, record, now)
            return
        self._expected_steps = record.total_steps or self._expected_steps
        steps = self._count_new(record, source)
        if steps or record.step in (None, self._step):
            progress.take_logged(record.values)
        if not steps:
            return
        self._go_to(progress, record, now)
        if record.at is None and not source.has_been_read:
            progress.forget_step()
        progress.enter("training")
        progress.end_step(steps)
        self._step = (self._step or 0) + 1 if record.step is None else record.step
        progress.set_steps(self._step)
        progress.begin_step()

    def _go_to(self, progress: Progress, record: Record, now: float) -> None:
        self._at = max(self._at, min(now, record.at or now)) if progress.phase == "training" else record.at or now

    def _take_notice(self, progress: Progress, record: Record, now: float) -> None:
        """Enters the phase that the trainer names; what it trains meanwhile, only its reports tell."""
        if record.phase is None:
            return
        self._go_to(progress, record, now)
        if progress.phase != record.phase or not progress.is_announced:
            progress.enter(record.phase)
            self._rest_began_at = self._at
        elif record.phase in RESTING and self._at - self._rest_began_at <= LONGEST_REST_SECONDS:
            progress.renew_phase()

    def _follow_process(self, progress: Progress) -> None:
        """A process that has begun since the last report starts anew, until it reports."""
        started = self._started_at()
        if started is not None and started != self._began_at:
            if self._began_at is not None and started > self._at:
                self._at = started
                progress.begin_again()
            self._began_at = started

    def _count_new(self, record: Record, source: "_Source") -> int:
        """The steps that no reader has told before this record."""
        if record.step is None:
            return 0 if self._unit else 1
        if self._unit is None or (self._unit != "step" and record.unit == "step"):
            self._unit, self._step = record.unit, None
        begins_again = source.note(record)
        if record.unit != self._unit or not source.is_live:
            return 0
        if self._step is None or begins_again:
            return 1
        if record.step > self._step and source.has_been_read:
            self._gaps.append(record.step - self._step)
        return max(0, record.step - self._step)

    def _compare(self) -> None:
        """Names readers that do not follow the same trainer, once."""
        known = {source.name: source.step for source in self._sources if source.is_live and source.unit == self._unit}
        reached = [step for step in known.values() if step is not None]
        apart = max(reached, default=0) - min(reached, default=0)
        self._disagreed = self._disagreed + 1 if apart > 2 * max(self._gaps, default=1) else 0
        if self._disagreed == DISAGREEING_COLLECTIONS:
            steps = ", ".join(f"{name} at {step}" for name, step in known.items() if step is not None)
            log.warning("the readers of this trainer disagree on its step: %s; do they follow the same run?", steps)

    def _describe(self, progress: Progress, now: float) -> list[Sample]:
        count = sum(source.can_tell_progress() for source in self._sources)
        samples = [Sample("trainer_progress_readers", {}, float(count))]
        if count:
            reported_at, self._at = self._at, max(self._at, now)
            samples += progress.samples()
            self._at = reported_at
        settings: dict[str, str] = {}
        for source in self._sources:
            samples += source.describe()
            settings |= clean_settings(source.settings)
        if settings:
            samples.append(Sample("trainer_settings_info", dict.fromkeys(SETTINGS, "") | settings, 1.0))
        if count and self._unit:
            samples.append(Sample("trainer_progress_unit", {"unit": self._unit}, 1.0))
        if self._gaps:
            samples.append(Sample("trainer_progress_steps_per_report", {}, float(median_low(self._gaps))))
        if self._expected_steps:
            samples.append(Sample("trainer_expected_steps", {}, float(self._expected_steps)))
        return samples


class _Source:
    """One reader, and how far it has come."""

    def __init__(self, name: str, reader: Reader) -> None:
        self.name = name
        self.is_live: bool = getattr(reader, "is_live", True)
        self.has_been_read = False
        self.step: int | None = None
        self.unit = ""
        self._reader = reader
        self._is_up = False
        self._found_at: float | None = None
        self._failure = ""

    def can_tell_progress(self) -> bool:
        """Whether its silence says anything: a checkpoint comes too seldom, an inference server takes no steps."""
        return self.is_live and not (self._found_at is None and self._activity)

    def read(self, now: float) -> Sequence[Record]:
        """The new records; none, and one line in the log, where the source cannot be read."""
        try:
            records = self._reader.read(now)
        except ReadError as error:
            self._report(str(error))
            return ()
        self._report("")
        if records:
            self._found_at = max(self._found_at or 0.0, min(now, records[-1].at or now))
        return records

    def note(self, record: Record) -> bool:
        """Takes the step of a record; whether the trainer has begun again with it."""
        assert record.step is not None
        before, self.step, self.unit = self.step, record.step, record.unit
        return before is not None and record.step < before - REPEATED_STEPS

    def describe(self) -> Iterable[Sample]:
        labels = {"reader": self.name}
        yield Sample("trainer_progress_up", labels, float(self._is_up))
        if self._found_at is not None:
            yield Sample("trainer_progress_timestamp_seconds", labels, self._found_at)
        if self.step is not None:
            yield Sample("trainer_progress_step", labels, float(self.step))
        if self._is_up:
            for state, requests in self._activity.items():
                yield Sample("trainer_inference_requests", {**labels, "state": state}, requests)

    @property
    def settings(self) -> Mapping[str, object]:
        """What the training was set up with, where the reader reads it."""
        return getattr(self._reader, "settings", {})

    @property
    def _activity(self) -> Mapping[str, float]:
        """Requests at an inference server by state, where the reader reads one."""
        return getattr(self._reader, "activity", {})

    def _report(self, failure: str) -> None:
        if failure and (self._is_up or not self._failure):
            log.warning("reader %s: %s", self.name, failure)
        elif self._failure and not failure:
            log.info("reader %s reads again", self.name)
        self._is_up, self._failure = not failure, failure


def _by_time(found: Sequence[tuple[Record, _Source]]) -> list[tuple[Record, _Source]]:
    """In the order of their times; those of a reader keep their order, a record without time that of its neighbour."""
    keyed = []
    latest: dict[str, float] = {}
    for place, (record, source) in enumerate(found):
        at = latest.get(source.name, 0.0) if record.at is None else record.at
        latest[source.name] = max(latest.get(source.name, 0.0), at)
        keyed.append((latest[source.name], place))
    return [found[place] for _, place in sorted(keyed)]
