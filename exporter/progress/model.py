"""A trainer's progress: its phase, steps, silences and values, fed by the callback or by a reader, shown as samples."""

import math
import time
from collections.abc import Callable, Mapping

from exporter.metrics import STATES, STEP_BUCKETS, Sample, histogram
from exporter.pace import Pace
from exporter.progress.learning import Learning
from exporter.progress.names import TOKENS_NAMES, VALUES, find_first, is_finite

# Time in these phases is not part of a step, and a peer in them is not expected to step.
RESTING = frozenset({"waiting", "saving"})
# They start at 0 with the first round, so that a first increase shows.
SWARM_COUNTERS = (
    "swarm_publish_failures_total",
    "swarm_rounds_skipped_total",
    "swarm_stages_alone_total",
    "swarm_outputs_rejected_total",
)
# The phases that make up a step.
STEPPING = frozenset({"generating", "training"})


class Progress:
    """What is known of a trainer's progress. Used by one thread at a time; a method costs microseconds.

    `clock` gives the seconds that durations are measured in, `wall_clock` the Unix time.
    """

    def __init__(
        self,
        pace: Pace | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.pace = pace or Pace()
        self.phase = "starting"
        # A phase that the trainer itself named lasts until another one begins, and has a limit of its own.
        self.is_announced = False
        self._clock, self._wall_clock = clock, wall_clock
        self._phase_begin = clock()
        self._phase_seconds = dict.fromkeys(STATES, 0.0)
        self._values: dict[str, float] = {"trainer_steps_total": 0.0, "trainer_nonfinite_steps_total": 0.0}
        self._values["trainer_phase_start_timestamp_seconds"] = wall_clock()
        self._buckets = [0] * len(STEP_BUCKETS)
        self._step_seconds = 0.0
        self._step_begin: float | None = None
        self._rest_begin: float | None = None
        self._rested = 0.0
        self._before_evaluation: tuple[str, bool] | None = None
        self._silent_since = self._phase_begin
        self._silences: dict[str, float] = {}
        self._learning = Learning()
        self._tokens_before = 0.0
        self._tokens_logged = 0.0

    @property
    def is_in_swarm(self) -> bool:
        """Whether the trainer has named a round of a swarm."""
        return "swarm_round" in self._values

    # What happens

    def enter(self, phase: str, *, announced: bool = True) -> None:
        """Enters a phase, one of `metrics.STATES`; `announced` by the trainer, or else inferred from what it did.

        Staying in a phase changes nothing, but a rest that is announced begins then.
        """
        if phase == self.phase and (phase in STEPPING or announced == self.is_announced):
            self.is_announced = announced
            return
        now = self._clock()
        if self._rest_begin is not None:
            self._rested += now - self._rest_begin
        self._rest_begin = now if phase in RESTING else None
        spent = self._seconds_in_phase(now)
        self._phase_seconds[self.phase] += spent
        if self.phase == "saving":
            self.pace.add_save(spent)
        self._note_silence(now)
        self._phase_begin = self._silent_since = now
        self.phase, self.is_announced = phase, announced
        self._values["trainer_phase_start_timestamp_seconds"] = self._wall_clock()

    def renew_phase(self) -> None:
        """The trainer says again that it is in this phase: it is alive, and its rest may last as long again."""
        self._values["trainer_phase_start_timestamp_seconds"] = self._wall_clock()

    def begin_training(self) -> None:
        """Training begins; until its first step nothing is known: it may evaluate, or skip data for hours."""
        self.break_off()
        if self.phase not in STEPPING:
            self.enter("waiting", announced=False)

    def begin_step(self) -> None:
        """Starts the clock of a step."""
        self._before_evaluation = None
        if self.phase != "training":
            self.enter("training", announced=False)
        self._step_begin, self._rested = self._clock(), 0.0

    def end_computing(self) -> None:
        """The weights have changed. What follows up to the next step's begin is whatever callbacks do."""
        self._rest()

    def end_step(self, steps: int = 1) -> None:
        """Counts `steps` that end in one report, and takes their time if the beginning of the first is known."""
        now = self._clock()
        if self._step_begin is not None:
            resting = 0.0 if self._rest_begin is None else now - self._rest_begin
            self._time_steps(now, now - self._step_begin - self._rested - resting, steps)
            self._step_begin = None
        self._silent_since = now
        self._values["trainer_last_step_timestamp_seconds"] = self._wall_clock()
        self._values["trainer_steps_total"] += steps
        self._rest()

    def end_training(self) -> None:
        """A swarm peer trains again in its next round; for any other trainer this is the end."""
        self._step_begin = self._before_evaluation = None
        self.enter("waiting" if self.is_in_swarm else "stopped", announced=False)

    def break_off(self) -> None:
        """The step that may have begun does not end; its silence, and what followed, say nothing of the pace."""
        is_broken_off, self._step_begin = self._step_begin is not None, None
        self._before_evaluation = None
        self._rest()
        if is_broken_off:
            self._silences.clear()

    def evaluate(self) -> None:
        """It evaluates or predicts now, within a step, between steps or outside of any training."""
        if self._before_evaluation is None and self.phase not in RESTING:
            self._before_evaluation = self.phase, self.is_announced
            self.enter("waiting", announced=False)

    def end_evaluation(self) -> None:
        """Goes back to what the evaluation interrupted; a trainer that has evaluated is not starting any more."""
        before, self._before_evaluation = self._before_evaluation, None
        if before and before[0] != "starting":
            self.enter(before[0], announced=before[1])

    def forget_step(self) -> None:
        """Forgets when the step began, as nobody knows; its end is counted all the same."""
        self._step_begin = None
        self._silences.clear()

    def begin_again(self) -> None:
        """Another process of the trainer has begun; nothing is known of its steps, nor whether it learns."""
        self.forget_step()
        self._learning.begin_again()
        self.enter("starting")

    def set_steps(self, steps: int) -> None:
        """Takes how many steps the run has made, where it is learnt from a report."""
        self._values["trainer_steps_total"] = float(steps)

    def restore_last_step(self, at: float) -> None:
        """Takes the Unix time of an earlier process's last step, as long as this one has made none."""
        self._values.setdefault("trainer_last_step_timestamp_seconds", at)

    def take_logged(self, numbers: Mapping[str, float]) -> None:
        """Takes what a trainer logged, by its own names; numbers that are not finite are counted, not kept."""
        self._learning.take(numbers, self._wall_clock())
        if is_finite(numbers) is False:
            self._values["trainer_nonfinite_steps_total"] += 1
        for name, logged_as in VALUES.items():
            value = find_first(numbers, logged_as)
            if value is not None and math.isfinite(value):
                self._values[name] = value
        self._count_tokens(find_first(numbers, TOKENS_NAMES))

    def set_values(self, **values: float) -> None:
        """Sets values that only the trainer itself knows, by metric name."""
        self._values.update(values)

    def set_swarm(self, **values: float) -> None:
        """Sets values of a peer in a swarm, by metric name."""
        self._join_swarm()
        self._values.update(values)

    def take_place(self, round_number: int, stage: int | None) -> None:
        """Takes where in a swarm a trainer is that tells nothing of its publications."""
        self._values["swarm_round"] = float(round_number)
        if stage is not None:
            self._values["swarm_stage"] = float(stage)

    def count_in_swarm(self, name: str, count: float = 1.0) -> None:
        """Adds to a counter of a peer in a swarm, by metric name."""
        self._join_swarm()
        self._values[name] += count

    # What is shown

    def samples(self) -> list[Sample]:
        """Everything but `trainer_info`, at this instant."""
        spent = dict(self._phase_seconds)
        spent[self.phase] += self._seconds_in_phase(self._clock())
        samples = [Sample("trainer_state", {"trainer_state": name}, float(name == self.phase)) for name in STATES]
        samples += [
            Sample("trainer_phase_seconds_total", {"trainer_state": name}, value) for name, value in spent.items()
        ]
        samples += histogram("trainer_step_duration_seconds", STEP_BUCKETS, self._buckets, self._step_seconds)
        limit = self._stall_after()
        if math.isfinite(limit):
            samples.append(Sample("trainer_stall_after_seconds", {}, limit))
        at_rest = self.pace.stall_at_rest_after(self.phase)
        if at_rest is not None:
            samples.append(Sample("trainer_stall_at_rest_after_seconds", {}, at_rest))
        usual = self.pace.usual(self.phase)
        if usual is not None:
            samples.append(Sample("trainer_usual_silence_seconds", {}, usual))
        samples += [Sample(name, {}, value) for name, value in self._values.items()]
        samples += self._learning.samples()
        return samples

    def _seconds_in_phase(self, now: float) -> float:
        """A report may be older than the first look at a trainer, and a clock is set: neither takes time back."""
        return max(0.0, now - self._phase_begin)

    def _join_swarm(self) -> None:
        for name in SWARM_COUNTERS:
            self._values.setdefault(name, 0.0)

    def _rest(self) -> None:
        """Leaves what the hooks began; what the trainer announced goes on until it announces something else."""
        if not self.is_announced:
            self.enter("waiting", announced=False)

    def _stall_after(self) -> float:
        if self.phase == "waiting" and not self.is_announced:
            return self.pace.stall_between_steps()
        return self.pace.stall_after(self.phase)

    def _time_steps(self, now: float, seconds: float, steps: int) -> None:
        seconds = max(0.0, seconds)
        self._note_silence(now)
        for phase, silence in self._silences.items():
            self.pace.add(silence, phase)
        self._silences.clear()
        self._step_seconds += seconds
        self._buckets[next(i for i, bound in enumerate(STEP_BUCKETS) if seconds / steps <= bound)] += steps

    def _note_silence(self, now: float) -> None:
        """Keeps the longest silence of the step in each phase, measured as the stall rule measures it."""
        if self.phase in STEPPING:
            self._silences[self.phase] = max(self._silences.get(self.phase, 0.0), now - self._silent_since)

    def _count_tokens(self, logged: float | None) -> None:
        if logged is None or not math.isfinite(logged):
            return
        if logged < self._tokens_logged:  # The Trainer counts from 0 again in each train().
            self._tokens_before += self._tokens_logged
        self._tokens_logged = logged
        self._values["trainer_tokens_total"] = self._tokens_before + logged
