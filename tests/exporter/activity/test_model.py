"""What a silent trainer does decides how long it may be silent."""

import random

import pytest

from exporter.activity.model import Activity, Limits
from exporter.activity.usage import Usage

# Steady steps of 20 s, as the pace judges them: at rest two of them, else three.
LIMITS = Limits(60.0, 40.0)
STEP, INTERVAL = 20.0, 5.0
# One of the longer half of steps that suddenly take 3.5 times as long.
LONGER = pytest.approx(3.5 * 20.0 * 3.0**0.5)


class Peer:
    """A trainer and its sidecar, on a clock of their own."""

    def __init__(self, cores=4.0, *, limits=LIMITS, **sample):
        self.activity, self.now, self.progress_at, self.own_seconds = Activity(), 0.0, 0.0, 0.0
        self.limits, self.usual = limits, {"cores": cores, "moved": 1e3, "machine_busy": 0.5, **sample}
        self.step(70)

    def collect(self, seconds, phase="training", **sample):
        for _ in range(int(seconds / INTERVAL)):
            self.now += INTERVAL
            usage = Usage(INTERVAL, **(self.usual | sample))
            self.activity.observe(usage, phase, self.progress_at, self.limits, self.now, own_seconds=self.own_seconds)
        return self

    def step(self, count=1, rests=0.0, **sample):
        for _ in range(count):
            self.collect(STEP - rests, **sample)
            self.collect(rests, cores=0.0)
            self.progress_at = self.now
        return self

    def judged(self):
        return self.activity.state, self.activity.stall_after()


def test_silence_at_rest_is_a_stall_after_two_usual_silences():
    assert Peer().collect(15, cores=0.01).judged() == ("rest", 40.0)


def test_a_rest_that_begins_late_counts_once_it_has_lasted_a_usual_silence():
    assert Peer().collect(50).collect(5, cores=0.01).judged() == ("rest", 70.0)


def test_silence_at_work_is_allowed_three_times_what_the_pace_allows():
    assert Peer().collect(50).judged() == ("usual", 180.0)


def test_an_uneven_trainer_is_allowed_ten_usual_silences_at_work_or_what_its_pace_allows():
    assert Peer(limits=Limits(90.0, 40.0)).collect(50).judged() == ("usual", 200.0)
    assert Peer(limits=Limits(900.0, 40.0)).collect(50).judged() == ("usual", 900.0)


def test_work_beside_other_programs_is_work():
    assert Peer().collect(30, cores=1.0, machine_busy=1.0).judged()[0] == "usual"


def test_one_thread_that_spins_as_never_before_is_a_stall_after_three_usual_silences():
    assert Peer().collect(30, cores=1.0).judged() == ("spinning", 60.0)
    assert Peer(cores=0.05).collect(30, cores=1.0).judged() == ("spinning", 60.0)


def test_one_thread_is_work_for_a_trainer_that_always_uses_one():
    assert Peer(cores=1.0).collect(30, cores=1.0).judged() == ("usual", 180.0)


def test_who_moves_bytes_does_not_rest():
    assert Peer().collect(30, cores=0.0, moved=5e6).judged() == ("usual", 180.0)


def test_a_wait_for_the_disk_is_judged_by_the_silence_alone():
    assert Peer().collect(30, cores=0.0, waits_for_disk=True).judged() == ("unknown", LONGER)


def test_where_the_system_tells_no_bytes_the_processor_decides():
    assert Peer(moved=None, machine_busy=None).collect(30, cores=0.0).judged() == ("rest", 40.0)


def test_a_trainer_that_hardly_computes_is_judged_by_the_silence_alone():
    assert Peer(cores=0.01).collect(30, cores=0.0).judged() == ("unknown", LONGER)


@pytest.mark.parametrize("cores", [0.0, 1.0, 4.0])
def test_an_accelerator_at_idle_power_rests_whatever_the_processor_does(cores):
    assert Peer(accelerator_busy=True).collect(30, cores=cores, accelerator_busy=False).judged() == ("rest", 40.0)


def test_an_accelerator_that_computes_is_work_without_a_processor():
    assert Peer(accelerator_busy=True).collect(30, cores=0.0).judged() == ("usual", 180.0)


def test_an_accelerator_that_was_never_busy_says_nothing():
    assert Peer(accelerator_busy=False).collect(30).judged() == ("usual", 180.0)


def test_rests_in_each_step_are_judged_as_steps_are_and_may_suddenly_take_longer():
    peer = Peer().step(200, rests=15.0)
    assert peer.collect(5).collect(15, cores=0.0).judged() == ("rest", pytest.approx(5.0 + 3.5 * 15.0 * 3.0**0.5))


def test_rests_in_each_step_may_last_no_longer_than_a_step_of_which_nothing_is_known():
    peer = Peer().step(20, rests=15.0)
    assert peer.collect(5).collect(15, cores=0.0).judged() == ("rest", pytest.approx(5.0 + 3.5 * 20.0 * 3.0**0.5))


def test_rests_that_became_longer_are_learnt_as_steps_are():
    peer = Peer(limits=Limits(600.0, 40.0)).step(200, rests=5.0)
    before = peer.collect(20, cores=0.0).judged()[1]
    peer.step(5, rests=15.0)
    assert before < 3.5 * 15.0 < peer.collect(20, cores=0.0).judged()[1]


def test_a_rest_that_few_silences_have_is_allowed_eight_times():
    peer = Peer(limits=Limits(600.0, 40.0)).step(2, rests=15.0).step(40)
    assert peer.collect(20).collect(15, cores=0.0).judged() == ("rest", 140.0)


@pytest.mark.parametrize(("steps", "limit"), [(59, 140.0), (80, 40.0)])
def test_a_new_trainer_that_has_rested_once_may_rest_so_eight_times_as_long(steps, limit):
    peer = Peer(limits=Limits(600.0, 40.0))
    peer.activity = Activity()
    peer.step(steps).step(1, rests=15.0)
    assert peer.collect(20).collect(15, cores=0.0).judged() == ("rest", limit)


def test_a_trainer_that_works_and_waits_by_turns_rests_while_it_waits():
    # In which half the median lies is chance; a tenth of the average is neither.
    for waits in (9.0, 10.0, 11.0):
        peer = Peer(limits=Limits(600.0, 40.0))
        peer.activity, random_ = Activity(), random.Random(2)
        for _ in range(80):
            for cores, seconds in ((0.01, waits), (2.0, 20.0 - waits)):
                for _ in range(int(seconds)):
                    peer.now += 1.0
                    noise = random_.uniform(0.7, 1.3)
                    usage = Usage(1.0, cores * noise)
                    peer.activity.observe(usage, "training", peer.progress_at, LIMITS, peer.now, own_seconds=1.0)
            peer.progress_at = peer.now
        assert peer.collect(20, cores=0.01).judged()[0] == "rest"


def test_one_thread_that_spins_longer_than_it_does_within_steps_is_a_spin():
    peer = Peer(cores=2.0)
    for _ in range(200):
        peer.collect(5, cores=1.0).collect(15)
        peer.progress_at = peer.now
    assert peer.collect(10, cores=1.0).judged()[0] == "usual"
    assert peer.collect(30, cores=1.0).judged() == ("spinning", 60.0)


def test_one_thread_that_spins_in_steps_shorter_than_a_collection_is_work():
    peer = Peer(limits=Limits(10.0, 5.0, 3.0))
    peer.activity = Activity()
    for _ in range(100):
        peer.progress_at = peer.now + 2.0
        peer.collect(5, cores=1.0)
    assert peer.collect(10, cores=1.0).judged()[0] == "usual"


SHORT = Limits(30.0, 10.0)


def test_a_rest_may_be_one_that_the_collections_before_did_not_show():
    # Half a second in each step may take 3.5 times as long, and be one of the longer half.
    for least, limit in ((1.6, 15.0), (3.6, 10.0)):
        assert Peer(limits=SHORT).step(2, cores=least).collect(10, cores=0.0).judged() == ("rest", limit)


def test_one_thread_may_have_turned_where_the_collections_before_did_not_show_it():
    assert Peer(limits=SHORT).collect(10, cores=1.0).judged() == ("spinning", 15.0)


def test_a_look_in_between_does_not_make_collections_shorter():
    peer = Peer(limits=SHORT).step(2, cores=1.6).collect(5, cores=0.0)
    peer.activity.observe(Usage(1.1, 0.0), "training", peer.progress_at, peer.limits, peer.now + 1.1)
    assert peer.judged() == ("rest", 15.0)


def test_a_rest_of_a_new_trainer_is_judged_generously():
    known = []
    for steps in (5, 20, 40, 64, 80):
        peer = Peer(limits=Limits(90.0, 40.0))
        peer.activity = Activity()
        peer.step(steps)
        known.append(peer.collect(15, cores=0.0).judged()[1])
    assert known == sorted(known, reverse=True)
    assert known[0] > 80.0
    assert known[-1] == 40.0


def test_helpers_that_use_a_hundredth_of_a_core_are_no_work():
    assert Peer(cores=0.04).collect(15, cores=0.008).judged() == ("rest", 40.0)


def test_one_hang_that_ended_excuses_no_other():
    peer = Peer()
    peer.collect(600, cores=0.0).step(3)
    assert peer.collect(30, cores=0.0).judged() == ("rest", 40.0)


def test_a_long_hang_does_not_become_what_is_usual():
    peer = Peer().collect(4 * 3600, cores=0.0).step()
    assert peer.activity.usual_cores == 4.0


def test_until_a_minute_is_known_the_pace_alone_decides():
    activity = Activity()
    for now in range(5, 60, 5):
        activity.observe(Usage(5.0, 0.0), "training", 0.0, LIMITS, float(now))
        assert activity.state == "unknown"
        assert activity.stall_after() == LIMITS.anyhow


def test_without_a_pace_there_is_no_limit():
    peer = Peer()
    peer.limits = Limits(3600.0, None)
    assert peer.collect(50, cores=0.0).judged() == ("rest", None)


def test_what_was_seen_before_the_last_progress_says_nothing_about_the_silence():
    peer = Peer().collect(15, cores=0.0)
    peer.progress_at = peer.now - 2.0
    assert peer.collect(5, cores=0.0).judged()[0] == "rest"
    peer.progress_at = peer.now + 3.0
    assert peer.collect(5, cores=0.0).judged() == ("unknown", None)


def test_each_phase_has_its_own_usual_activity():
    peer = Peer()
    for _ in range(20):
        peer.collect(STEP, "generating", cores=0.3)
        peer.progress_at = peer.now
        peer.step()
    assert peer.collect(30, "generating", cores=0.3).judged()[0] == "usual"
    peer.progress_at = peer.now
    assert peer.collect(30, cores=0.3).judged()[0] == "rest"


def test_no_limit_is_below_a_stall_at_rest_nor_above_one_at_work():
    chance = random.Random(5)
    for _ in range(300):
        at_rest = chance.uniform(10.0, 600.0)
        anyhow = at_rest * chance.uniform(1.0, 9.0)
        peer = Peer(cores=chance.choice([0.01, 0.05, 1.0, 4.0]), limits=Limits(anyhow, at_rest))
        for _ in range(40):
            sample = {
                "cores": peer.usual["cores"] * chance.choice([0.0, 0.05, 0.3, 1.0, 2.0]),
                "moved": chance.choice([None, 0.0, 1e7]),
                "waits_for_disk": chance.random() < 0.1,
                "accelerator_busy": chance.choice([None, False, True]),
            }
            peer.collect(5, **sample)
            if chance.random() < 0.1:
                peer.progress_at = peer.now
            limit = peer.activity.stall_after()
            assert limit is None or at_rest <= limit <= max(anyhow, 5 * at_rest)


def test_more_rest_never_allows_more():
    chance = random.Random(6)
    for _ in range(100):
        worked = 5.0 * chance.randrange(1, 12)
        rests = [Peer().collect(worked).collect(5.0 * count, cores=0.0).judged()[1] for count in range(1, 6)]
        assert rests == sorted(rests, reverse=True)


# After a restart


def test_what_was_learnt_of_the_same_process_holds_at_once():
    later = Peer()
    later.activity = Activity()
    later.activity.remember(Peer().activity.memory(), is_same_process=True)
    later.progress_at = later.now
    assert later.collect(15, cores=0.0).judged() == ("rest", 40.0)


def restarted(peer, cores):
    peer.activity.begin_again()
    peer.progress_at = peer.now
    peer.collect(15, cores=0.0)
    assert peer.activity.state == "unknown"
    peer.activity.pause()
    peer.progress_at = peer.now
    return peer.step(5, cores=cores)


def test_another_process_confirms_what_was_learnt():
    peer = restarted(Peer().step(30, rests=5.0), 3.0)
    assert peer.activity.usual_cores == 4.0


def test_another_process_that_does_something_else_drops_what_was_learnt():
    assert restarted(Peer(), 0.5).activity.usual_cores == 0.5


def test_what_was_not_confirmed_yet_is_kept():
    peer = Peer()
    known = peer.activity.memory()
    peer.activity.begin_again()
    assert peer.activity.memory() == known


def test_a_collection_with_more_than_the_work_before_the_silence_is_work_in_it():
    peer = Peer()
    peer.progress_at = peer.now + 3.0
    peer.collect(5, cores=4.0)
    assert peer.collect(40, cores=0.0).judged() == ("rest", 40.0)
    worked = peer.activity._worked_until - peer.progress_at
    peer.progress_at = peer.now + 3.0
    peer.collect(5, cores=2.4)
    assert (worked, peer.activity._worked_until - peer.progress_at) == (2.0, 0.0)


# A trainer that was stopped by a signal


def test_a_stopped_trainer_is_stalled_a_minute_later_however_long_its_steps_take():
    peer = Peer(limits=Limits(1800.0, 1200.0, 600.0)).collect(100)
    assert peer.collect(10, cores=0.0, is_stopped=True).judged() == ("rest", 160.0)
    assert peer.collect(5).judged() == ("usual", 5400.0)


def test_a_stopped_trainer_with_short_steps_is_stalled_when_one_at_rest_is():
    assert Peer().collect(15).collect(5, cores=0.0, is_stopped=True).judged() == ("rest", 40.0)
    assert Peer().collect(100).collect(5, cores=0.0, is_stopped=True).judged() == ("rest", 120.0)


def test_a_new_trainer_that_is_stopped_is_known_to_be():
    peer = Peer()
    peer.activity, peer.limits = Activity(), Limits(3600.0, None)
    assert peer.collect(10, cores=0.0).judged() == ("unknown", None)
    assert peer.collect(10, cores=0.0, is_stopped=True).judged() == ("rest", 70.0)


# Phases without a pace


def saving(at_rest, *seen, phase="saving"):
    """A phase of at most 600 s, in collections of five seconds, as samples say."""
    activity, limits = Activity(), Limits(600.0, at_rest)
    for place, sample in enumerate(seen):
        usage = Usage(INTERVAL, **({"cores": 0.0, "moved": 0.0} | sample))
        activity.observe_rest(usage, phase, 1000.0, limits, 1000.0 + INTERVAL * (place + 1))
    return activity.state, activity.stall_after()


STOPPED, DISK = {"is_stopped": True}, {"waits_for_disk": True}
WORKS, WRITES, COPIES = {"cores": 0.5}, {"moved": 5e6}, {"accelerator_busy": True}


@pytest.mark.parametrize("sample", [{}, DISK])
def test_a_save_at_rest_is_held_to_how_long_saves_are(sample):
    assert saving(60.0, sample) == ("rest", 60.0)
    assert saving(60.0, WRITES, WORKS, sample) == ("rest", 70.0)


@pytest.mark.parametrize("sample", [WORKS, WRITES, COPIES, {"moved": None}])
def test_a_save_that_works_or_of_which_nothing_is_told_may_take_as_long_as_any(sample):
    assert saving(60.0, {}, sample) == ("unknown", None)


def test_a_save_at_rest_whose_usual_length_is_not_known_may_take_as_long_as_any():
    assert saving(None, {}, {}) == ("unknown", None)


@pytest.mark.parametrize("phase", ["saving", "waiting", "starting"])
def test_a_trainer_that_is_stopped_is_stalled_in_any_phase(phase):
    assert saving(None, {}, STOPPED, phase=phase) == ("rest", 65.0)
    assert saving(None, STOPPED, {}, phase=phase) == ("unknown", None)
