"""Steps per second over the last minutes, from the step count and the time of the last step in trainer.prom."""

from collections import deque
from typing import NamedTuple, Self

from exporter.config import Reported, SidecarConfig
from exporter.metrics import Sample
from exporter.textfile_reader import value_of

WINDOW_SECONDS = 300.0
# The rate of a slow peer is taken over some steps too.
MIN_OBSERVATIONS = 4


class Collector:
    """Follows the step count in a run folder."""

    def __init__(self, reported: Reported) -> None:
        self._reported = reported
        self._rate = StepRate()

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self:
        return cls(config.reported)

    def collect(self, now: float) -> list[Sample]:
        samples = self._reported.read(now)
        steps = value_of(samples, "trainer_steps_total")
        last_step = value_of(samples, "trainer_last_step_timestamp_seconds")
        if steps and last_step is not None:
            self._rate.observe(steps, last_step)
        rate = self._rate.at(now)
        return [] if rate is None else [Sample("trainer_steps_per_second", {}, rate)]


class _Observation(NamedTuple):
    steps: float
    last_step: float


class StepRate:
    """A rate measured between ends of steps, so that it does not depend on the collection interval."""

    def __init__(self) -> None:
        self._seen: deque[_Observation] = deque()

    def observe(self, steps: float, last_step: float) -> None:
        """Adds a step count and the time of its last step; a smaller count means that the trainer was restarted."""
        newest = self._seen[-1] if self._seen else None
        if newest and steps == newest.steps:
            return
        if newest and (steps < newest.steps or last_step <= newest.last_step):
            self._seen.clear()
        self._seen.append(_Observation(steps, last_step))
        while len(self._seen) > MIN_OBSERVATIONS and last_step - self._seen[1].last_step >= WINDOW_SECONDS:
            self._seen.popleft()

    def at(self, now: float) -> float | None:
        """Steps per second at `now`; None before two observations. Falls once a step is overdue, in the end to 0."""
        if len(self._seen) < 2:
            return None
        first, last = self._seen[0], self._seen[-1]
        steps, seconds = last.steps - first.steps, last.last_step - first.last_step
        step_seconds = seconds / steps
        overdue = max(0.0, now - last.last_step - 2.0 * step_seconds)
        if overdue > max(WINDOW_SECONDS, 2.0 * seconds):
            return 0.0
        return steps / (seconds + overdue)
