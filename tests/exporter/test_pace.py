"""The silence that a peer is allowed follows its own pace."""

import random

import pytest

from exporter.pace import Pace


def pace_after(steps, **limits):
    pace = Pace(**{"floor_seconds": 0.0, **limits})
    for step in steps:
        pace.add(step)
    return pace


def false_alarms(steps, **limits):
    pace, alarms = pace_after(steps[:64], **limits), 0
    for step in steps[64:]:
        alarms += step > pace.stall_after("training")
        pace.add(step)
    return alarms


def test_each_phase_that_does_not_step_has_its_own_budget():
    pace = pace_after([1.0] * 50, starting_seconds=11, waiting_seconds=12, saving_seconds=13)
    assert [pace.stall_after(phase) for phase in ("starting", "waiting", "saving")] == [11, 12, 13]
    assert pace.stall_after("training") == pytest.approx(3.0 + 8 * 2 / 3)


def test_generating_and_training_are_judged_each_by_its_own_silences():
    pace = Pace(floor_seconds=0.0)
    for _ in range(200):
        pace.add(40.0, "generating")
        pace.add(10.0, "training")
    assert pace.stall_after("generating") == pytest.approx(120.0)
    assert pace.stall_after("training") == pytest.approx(30.0)


def test_a_phase_that_was_never_seen_is_allowed_the_ceiling():
    assert pace_after([1.0] * 200, ceiling_seconds=900.0).stall_after("generating") == 900.0


def test_time_in_a_phase_with_a_budget_teaches_nothing():
    pace = Pace(saving_seconds=600.0)
    for _ in range(200):
        pace.add(1.0, "saving")
    assert pace.stall_after("saving") == 600.0


def test_until_five_steps_are_known_only_the_ceiling_holds():
    assert Pace(ceiling_seconds=3600).stall_after("training") == 3600
    assert pace_after([1.0] * 4, ceiling_seconds=3600).stall_after("training") == 3600
    assert pace_after([1.0] * 5, ceiling_seconds=3600).stall_after("training") < 11


def test_the_first_steps_are_judged_generously():
    known = [pace_after([1.0] * count).stall_after("training") for count in (10, 50, 100, 150)]
    assert known == sorted(known, reverse=True)
    assert known == pytest.approx([10.47, 8.33, 5.67, 3.0], abs=0.01)


def test_fast_steps_are_allowed_the_floor():
    assert pace_after([0.062] * 100, floor_seconds=30.0).stall_after("training") == 30.0


def test_slow_steps_are_allowed_no_more_than_the_ceiling():
    assert pace_after([709.0] * 20, ceiling_seconds=2000.0).stall_after("training") == 2000.0


def test_no_ceiling_is_below_twice_the_usual_step():
    assert pace_after([2500.0] * 20, ceiling_seconds=3600.0).stall_after("training") == 5000.0


def test_a_single_long_hang_changes_nothing():
    steady = [1.0, 1.1, 0.9] * 60
    calm, hung = pace_after(steady).stall_after("training"), pace_after([*steady, 3600.0]).stall_after("training")
    assert hung == pytest.approx(calm, rel=0.02)


def test_repeated_hangs_do_not_excuse_an_hour():
    assert pace_after(([1.0] * 10 + [3600.0]) * 5, ceiling_seconds=1e9).stall_after("training") < 200.0


def test_a_drift_is_followed_without_an_alarm():
    drifting = [2.0 ** (step / 100) for step in range(1000)]
    assert false_alarms(drifting, ceiling_seconds=1e9) == 0
    assert pace_after(drifting, ceiling_seconds=1e9).stall_after("training") == pytest.approx(
        3.0 * drifting[-32], rel=0.1
    )


def test_a_lasting_slow_down_is_learnt_within_a_few_steps():
    assert false_alarms([1.0] * 300 + [20.0] * 300) <= 6


@pytest.mark.parametrize("factor", [2.5, 3.0, 3.5])
def test_steps_that_become_longer_are_allowed_after_two_of_them(factor):
    chance = random.Random(5)
    steps = [20.0 * chance.lognormvariate(0.0, 0.1) for _ in range(500)]
    assert pace_after([*steps, factor * 20.0, factor * 20.0]).stall_after("training") > 1.3 * factor * 20.0


def test_a_stall_at_rest_is_one_of_two_usual_silences_between_floor_and_pace():
    assert pace_after([20.0] * 4).stall_at_rest_after("training") is None
    assert pace_after([20.0] * 200).stall_at_rest_after("training") == 40.0
    assert pace_after([1.0] * 200, floor_seconds=30.0).stall_at_rest_after("training") == 15.0
    assert pace_after([20.0] * 200, ceiling_seconds=35.0).stall_at_rest_after("training") == 40.0
    assert pace_after([20.0] * 200).usual("training") == 20.0


def test_a_save_at_rest_is_held_to_how_long_saves_are_between_a_busy_disk_and_the_limit_for_saves():
    pace = Pace(saving_seconds=600.0)
    for known in (0.1, 0.1):
        pace.add_save(known)
        assert pace.stall_at_rest_after("saving") is None
    pace.add_save(0.1)
    assert pace.stall_at_rest_after("saving") == 120.0
    pace.add_save(3600.0)
    assert pace.stall_at_rest_after("saving") == 120.0
    pace.add_save(20.0)
    assert pace.stall_at_rest_after("saving") == 200.0
    pace.add_save(90.0)
    assert pace.stall_at_rest_after("saving") is None
    assert pace.stall_after("saving") == 600.0


def test_a_speed_up_is_followed():
    assert pace_after([20.0] * 300 + [1.0] * 600).stall_after("training") == pytest.approx(3.0)


@pytest.mark.parametrize("long_share", [0.05, 0.1, 0.3])
def test_two_kinds_of_steps_give_no_alarm(long_share):
    chance = random.Random(7)
    steps = [chance.gauss(1.0, 0.05) * (8.0 if chance.random() < long_share else 1.0) for _ in range(10_000)]
    assert false_alarms(steps, ceiling_seconds=1e9) <= 1


def test_a_week_of_uneven_minutes_gives_no_alarm_and_is_judged_in_five_steps():
    chance = random.Random(11)
    steps = [60.0 * chance.lognormvariate(0.0, 0.25) for _ in range(10_080)]
    assert false_alarms(steps) == 0
    assert pace_after(steps).stall_after("training") <= 5.0 * 60.0


def test_a_week_of_very_uneven_minutes_gives_no_alarm():
    chance = random.Random(13)
    assert false_alarms([60.0 * chance.lognormvariate(0.0, 0.5) for _ in range(10_080)]) == 0


def test_steps_that_take_no_time_are_allowed_the_floor():
    assert pace_after([0.0] * 100, floor_seconds=30.0).stall_after("training") == 30.0


# After a restart


def restarted(before, *, steps=0, seconds=1.0, **limits):
    """The pace of the next process, after so many steps."""
    pace = Pace(**{"floor_seconds": 0.0, **limits})
    pace.remember(before.memory())
    for _ in range(steps):
        pace.add(seconds)
    return pace


def test_after_a_restart_the_pace_is_what_it_was_as_soon_as_five_steps_confirm_it():
    before = pace_after(([1.0] * 19 + [4.0]) * 50)
    assert restarted(before, steps=5).stall_after("training") == pytest.approx(before.stall_after("training"))
    assert pace_after([1.0] * 5).stall_after("training") != pytest.approx(before.stall_after("training"))


@pytest.mark.parametrize("steps", range(5))
def test_the_first_steps_after_a_restart_may_compile(steps):
    assert restarted(pace_after([1.0] * 500), steps=steps).stall_after("training") == 3600.0
    slow = pace_after([2500.0] * 500)
    assert restarted(slow, steps=steps).stall_after("training") == 5000.0


def test_steps_that_compiled_after_many_restarts_excuse_no_hang():
    pace = pace_after([1.0] * 500)
    for _ in range(20):
        pace = restarted(pace)
        for seconds in (900.0, 300.0, 1.0, 1.0, 1.0):
            pace.add(seconds)
    assert pace.stall_after("training") == pytest.approx(3.0)


@pytest.mark.parametrize("seconds", [0.3, 5.0])
def test_another_pace_after_a_restart_is_learnt_from_nothing(seconds):
    found = restarted(pace_after([1.0] * 500), steps=5, seconds=seconds)
    assert found.stall_after("training") == pytest.approx(pace_after([seconds] * 5).stall_after("training"))


def test_what_was_learnt_survives_a_restart_that_makes_no_step():
    before = pace_after([1.0] * 500)
    assert restarted(restarted(before)).memory() == before.memory()


def test_a_memory_that_comes_late_changes_nothing_that_is_known_already():
    pace = pace_after([1.0] * 100)
    known = pace.stall_after("training")
    pace.remember(pace_after([50.0] * 100).memory())
    assert pace.stall_after("training") == known


def test_a_memory_that_comes_late_is_taken_where_the_pace_is_the_same():
    before = pace_after([1.0] * 500)
    for seconds, is_taken in ((1.2, True), (9.0, False)):
        pace = pace_after([seconds] * 20)
        known = pace.stall_after("training")
        pace.remember(before.memory())
        assert pace.stall_after("training") == (3.0 if is_taken else known)


def test_a_stopped_trainer_never_stalls():
    assert Pace().stall_after("stopped") == float("inf")
