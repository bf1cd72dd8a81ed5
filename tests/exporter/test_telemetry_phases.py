"""The callback tells the phases of a trainer, and how long it may be silent in each."""

import contextlib
import time

from exporter.pace import Pace
from exporter.textfile_reader import value_of
from tests.exporter.telemetry_run import (
    GO_ON,
    phase_of,
    step,
    telemetry_module,
    written,
)


def test_a_phase_returns_to_the_one_before(telemetry):
    assert phase_of(telemetry) == "starting"
    telemetry.set_phase("training")
    with contextlib.suppress(RuntimeError), telemetry.phase("generating"):
        assert phase_of(telemetry) == "generating"
        raise RuntimeError
    assert phase_of(telemetry) == "training"
    telemetry.set_phase("dreaming")
    assert phase_of(telemetry) == "training"


def test_the_allowed_silence_is_that_of_the_phase(tmp_path):
    pace = Pace(floor_seconds=21, ceiling_seconds=22, starting_seconds=23, waiting_seconds=24, saving_seconds=25)
    telemetry = telemetry_module.PeerTelemetry(tmp_path, pace=pace)
    found = {}
    for phase in ("starting", "waiting", "saving", "training"):
        telemetry.set_phase(phase)
        found[phase] = allowance_of(telemetry)
    for _ in range(5):
        step(telemetry)
    found["stepping"] = allowance_of(telemetry)
    telemetry.close()
    assert found == {"starting": 23, "waiting": 24, "saving": 25, "training": 22, "stepping": 21}


class RecordedPace(Pace):
    """Keeps what the telemetry adds, as (phase, seconds)."""

    def __init__(self):
        super().__init__()
        self.added = []

    def add(self, seconds, phase="training"):
        self.added.append((phase, seconds))
        super().add(seconds, phase)


def test_each_phase_of_a_step_is_judged_by_its_own_silence(tmp_path):
    pace = RecordedPace()
    telemetry = telemetry_module.PeerTelemetry(tmp_path, pace=pace)
    telemetry.set_phase("training")
    began = time.perf_counter()
    telemetry.on_step_begin(None, None, GO_ON)
    with telemetry.phase("generating"):
        time.sleep(0.05)
    time.sleep(0.02)
    telemetry.on_step_end(None, None, GO_ON)
    passed = time.perf_counter() - began
    telemetry.close()
    silences = dict(pace.added)
    assert silences.keys() == {"generating", "training"}
    assert silences["generating"] >= 0.05
    assert silences["training"] >= 0.02
    # Silences that overlapped would add up to more than the time there was.
    assert sum(silences.values()) <= passed


def test_a_silence_begins_with_the_last_step_where_the_phase_stays(tmp_path):
    telemetry = telemetry_module.PeerTelemetry(tmp_path, pace=Pace(floor_seconds=0.001))
    telemetry.set_phase("training")
    for _ in range(6):
        time.sleep(0.05)
        step(telemetry)
    allowed = allowance_of(telemetry)
    telemetry.close()
    assert allowed >= 3 * 0.05


def allowance_of(telemetry):
    samples = [sample for family in telemetry.collect() for sample in family.samples]
    return value_of(samples, "trainer_stall_after_seconds")


def test_the_time_in_each_phase_adds_up_to_the_time_there_was(telemetry):
    began = time.perf_counter()
    for phase in ("waiting", "training", "waiting"):
        telemetry.set_phase(phase)
        time.sleep(0.1)
    passed = time.perf_counter() - began
    spent = phase_seconds(telemetry)
    assert spent["waiting"] >= 0.2
    assert 0.1 <= spent["training"] <= passed - 0.2 + 0.05
    assert sum(spent.values()) >= passed
    assert (spent["saving"], spent["stopped"]) == (0.0, 0.0)
    time.sleep(0.05)
    later = phase_seconds(telemetry)
    assert later["waiting"] >= spent["waiting"] + 0.05
    assert later["training"] == spent["training"]


def phase_seconds(telemetry):
    samples = [sample for family in telemetry.collect() for sample in family.samples]
    return {s.labels["trainer_state"]: s.value for s in samples if s.name == "trainer_phase_seconds_total"}


def test_time_spent_waiting_or_saving_is_no_part_of_a_step(telemetry, tmp_path):
    began = time.perf_counter()
    telemetry.on_step_begin(None, None, GO_ON)
    with telemetry.phase("saving"):
        time.sleep(0.3)
    telemetry.on_step_end(None, None, GO_ON)
    passed = time.perf_counter() - began
    assert value_of(written(telemetry, tmp_path), "trainer_step_duration_seconds_sum") <= passed - 0.3


def test_a_swarm_peer_waits_between_its_trainings(telemetry):
    telemetry.set_round(0, 0)
    telemetry.on_train_end(None, None, GO_ON)
    assert phase_of(telemetry) == "waiting"
