"""What a trainer's phases, steps and silences become."""

import pytest

from exporter.pace import Pace
from exporter.progress.model import Progress


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def make(**limits):
    clock = Clock()
    pace = Pace(floor_seconds=10.0, waiting_seconds=1800.0, saving_seconds=600.0, **limits)
    return Progress(pace, clock=clock, wall_clock=clock), clock


def allowed(progress):
    found = {sample.name: sample.value for sample in progress.samples()}
    return found.get("trainer_stall_after_seconds")


def silence(progress, now):
    found = {sample.name: sample.value for sample in progress.samples()}
    since = max(found.get("trainer_last_step_timestamp_seconds", 0), found["trainer_phase_start_timestamp_seconds"])
    return now - since


def step(progress, clock, seconds=1.0):
    progress.begin_step()
    clock.now += seconds
    progress.end_computing()
    progress.end_step()


def test_a_trainer_that_has_stopped_has_no_limit():
    progress, _ = make()
    progress.begin_training()
    progress.end_training()
    assert progress.phase == "stopped"
    assert allowed(progress) is None


def test_between_steps_a_trainer_may_rest_for_a_day_or_for_many_steps():
    progress, clock = make(ceiling_seconds=1e6)
    for _ in range(200):
        step(progress, clock)
    assert (progress.phase, allowed(progress)) == ("waiting", 86400.0)
    for _ in range(200):
        step(progress, clock, 7200.0)
    assert allowed(progress) >= 10 * progress.pace.stall_after("training") > 86400.0


@pytest.mark.parametrize("broken_off", ["noticed", "unnoticed"])
def test_a_step_that_was_broken_off_says_nothing_of_the_pace(broken_off):
    progress, clock = make()
    for _ in range(2):
        progress.begin_training()
        for _ in range(4):
            step(progress, clock, 2.0)
        progress.begin_step()
        clock.now += 9000.0
        if broken_off == "noticed":
            progress.break_off()
            assert (progress.phase, allowed(progress)) == ("waiting", 86400.0)
            clock.now += 9000.0
    progress.begin_training()
    step(progress, clock, 2.0)
    assert progress.pace.stall_after("training") < 9000.0 > 10 * progress.pace.usual("training")
    step(progress, clock, 2.0)
    assert max(progress.pace.memory()["training"].recent) == 2.0


def test_a_trainer_that_announces_its_phases_is_judged_between_its_steps_too():
    progress, clock = make()
    progress.enter("training")
    progress.begin_training()
    for _ in range(200):
        step(progress, clock)
    assert (progress.phase, allowed(progress)) == ("training", 10.0)
    clock.now += 11.0  # the next batch does not come
    assert silence(progress, clock.now) > allowed(progress)
    progress.enter("saving")
    assert allowed(progress) == 600.0
    progress.enter("waiting")
    assert allowed(progress) == 1800.0


def test_what_callbacks_do_after_the_update_is_no_part_of_the_step():
    progress, clock = make()
    progress.begin_step()
    clock.now += 2.0
    progress.end_computing()
    clock.now += 500.0
    progress.end_step()
    found = {sample.name: sample.value for sample in progress.samples()}
    assert found["trainer_step_duration_seconds_sum"] == 2.0


def test_an_announced_rest_begins_when_it_is_announced():
    progress, clock = make()
    progress.begin_training()
    clock.now += 5000.0
    progress.enter("waiting")
    assert silence(progress, clock.now) == 0.0
    assert allowed(progress) == 1800.0
