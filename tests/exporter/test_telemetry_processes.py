"""Of several processes, callbacks and runs of one folder, one at a time speaks, and goes on with what was learnt."""

import copy
import logging
import os
import pickle
import threading
import time
from types import SimpleNamespace

import pytest

from exporter.pace import Pace
from exporter.run_folder import read_process_record
from exporter.textfile_reader import value_of
from tests import fakes
from tests.exporter.telemetry_run import FIRST, GO_ON, OTHER, read, state, step, telemetry_module, torch, wait_for


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns of what this test is about
def test_a_forked_child_does_not_report_for_the_trainer(telemetry, tmp_path):
    telemetry.set_phase("training")
    child = os.fork()
    if child == 0:
        telemetry.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    wait_for(tmp_path / "peer-1", "trainer_steps_total", 0)
    time.sleep(0.1)
    assert state(read(tmp_path / "peer-1")) == "training"


def test_only_the_first_process_of_a_trainer_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    telemetry = telemetry_module.PeerTelemetry(tmp_path / "peer")
    step(telemetry, {"loss": 1.0})
    telemetry.close()
    assert not (tmp_path / "peer").exists()


@pytest.mark.parametrize("variable", ["RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"])
def test_the_trainer_knows_better_than_its_launcher_which_process_is_the_first(tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, "3")
    telemetry = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.01)
    telemetry.on_train_begin(None, FIRST, GO_ON)
    step(telemetry)
    telemetry.close()
    assert value_of(read(tmp_path), "trainer_steps_total") == 1


def test_a_process_that_turns_out_not_to_be_the_first_falls_silent(tmp_path):
    telemetry = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.01)
    wait_for(tmp_path, "trainer_steps_total", 0)
    telemetry.on_init_end(None, OTHER, GO_ON)
    telemetry.on_train_begin(None, OTHER, GO_ON)
    step(telemetry)
    telemetry.close()
    samples = read(tmp_path)
    assert (state(samples), value_of(samples, "trainer_steps_total")) == ("starting", 0)


def test_a_new_telemetry_takes_over_the_folder(tmp_path):
    old = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.01)
    step(old)
    new = telemetry_module.PeerTelemetry(str(tmp_path) + "/.", write_interval_seconds=0.01)
    step(new)
    step(new)
    step(old, {"loss": 1.0})
    old.close()
    wait_for(tmp_path, "trainer_steps_total", 2)
    assert state(read(tmp_path)) == "waiting"
    new.close()
    assert state(read(tmp_path)) == "stopped"
    assert [thread for thread in threading.enumerate() if thread.name == "telemetry"] == []


def test_an_older_telemetry_that_trains_again_speaks_again(tmp_path):
    old = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.01)
    new = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.01)
    step(new)
    old.on_train_begin(None, FIRST, GO_ON)
    for _ in range(3):
        step(old)
    new.close()
    wait_for(tmp_path, "trainer_steps_total", 3)
    old.close()


def test_many_telemetries_of_one_folder_leave_one_thread(tmp_path):
    made = [telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.01) for _ in range(30)]
    wait_for(tmp_path, "trainer_steps_total", 0)
    step(made[-1])
    wait_for(tmp_path, "trainer_steps_total", 1)
    assert [thread.name for thread in threading.enumerate()].count("telemetry") == 1
    made[-1].close()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_has_the_folder_and_labels_and_writes_once_it_is_used(tmp_path, copied):
    telemetry = telemetry_module.PeerTelemetry(tmp_path, nickname="one", write_interval_seconds=0.01)
    telemetry.set_info(peer_id="QmX")
    step(telemetry)
    wait_for(tmp_path, "trainer_steps_total", 1)
    twin = copied(telemetry)
    step(telemetry)
    wait_for(tmp_path, "trainer_steps_total", 2)
    twin.on_train_begin(None, FIRST, GO_ON)
    wait_for(tmp_path, "trainer_steps_total", 0)
    samples = read(tmp_path)
    info = next(sample.labels for sample in samples if sample.name == "trainer_info")
    assert (info["nickname"], info["peer_id"]) == ("one", "QmX")
    telemetry.close()
    # It takes the folder over before it says what it does.
    fakes.wait_for(lambda: state(read(tmp_path)) == "waiting", 10, "the phase of the copy")
    twin.close()
    assert state(read(tmp_path)) == "stopped"


ARGUMENTS = SimpleNamespace(world_size=1, device=SimpleNamespace(type="cpu"), to_dict=lambda: {"batch": 8})


def trained(tmp_path, arguments=ARGUMENTS, *, steps):
    """The allowance of a trainer after so many quick steps."""
    pace = Pace(floor_seconds=0.0)
    telemetry = telemetry_module.PeerTelemetry(tmp_path, pace=pace, write_interval_seconds=0.01)
    telemetry.on_train_begin(arguments, FIRST, GO_ON, model=torch.nn.Linear(1, 1))
    telemetry.set_phase("training")
    # The second write comes behind the claim of the folder, with which it takes up what is there.
    for stage in (1, 2):
        telemetry.set_round(steps, stage)
        wait_for(tmp_path, "swarm_stage", stage)
    for _ in range(steps):
        pace.add(1.0)
    allowed = pace.stall_after("training")
    telemetry.close()
    return allowed


def test_a_restarted_trainer_goes_on_with_its_pace(tmp_path):
    assert trained(tmp_path, steps=300) == 3.0
    assert trained(tmp_path, steps=4) == 3600.0
    assert trained(tmp_path, steps=6) == 3.0
    other = SimpleNamespace(**{**vars(ARGUMENTS), "to_dict": lambda: {"batch": 16}})
    assert trained(tmp_path, other, steps=5) > 10.0


@pytest.mark.parametrize("content", [b"{", b'{"mark":1,"phases":{"x":1}}', bytes(2 << 20)])
def test_a_damaged_pace_costs_the_pace(tmp_path, content):
    (tmp_path / "pace.json").write_bytes(content)
    assert trained(tmp_path, steps=5) > 10.0
    assert trained(tmp_path, steps=5) > 3.0


def test_a_folder_in_place_of_the_pace_costs_nothing_else(tmp_path):
    (tmp_path / "pace.json").mkdir()
    assert trained(tmp_path, steps=5) > 10.0
    assert state(read(tmp_path)) == "stopped"


def test_a_folder_that_comes_back_is_written_again(tmp_path, caplog):
    folder = tmp_path / "peer"
    folder.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        telemetry = telemetry_module.PeerTelemetry(folder, write_interval_seconds=0.01)
        while "cannot write metrics to" not in caplog.text:
            time.sleep(0.01)
        folder.unlink()
        step(telemetry)
        wait_for(folder, "trainer_steps_total", 1)
        telemetry.close()
    assert (folder / "process.json").exists()
    assert [record.message.split()[0] for record in caplog.records] == ["cannot", "writing"]


def test_an_emptied_folder_is_filled_again(tmp_path):
    telemetry = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.01)
    step(telemetry)
    wait_for(tmp_path, "trainer_steps_total", 1)
    for file in tmp_path.iterdir():
        file.unlink(missing_ok=True)
    fakes.wait_for(lambda: step(telemetry) or (tmp_path / "process.json").exists(), 10, "the trainer's process")
    telemetry.close()
    assert read_process_record(tmp_path).identity.pid == os.getpid()


def test_what_fails_and_what_works_is_written_once_each(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("exporter.textfile_writer.PACE_INTERVAL_SECONDS", 0.0)
    (tmp_path / "pace.json").mkdir()
    telemetry = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.001)
    telemetry.on_train_begin(ARGUMENTS, FIRST, GO_ON, model=torch.nn.Linear(1, 1))
    for count in range(1, 30):
        step(telemetry)
        wait_for(tmp_path, "trainer_steps_total", count)
    telemetry.close()
    assert [record.message.split()[0] for record in caplog.records] == ["cannot"]


def test_a_folder_has_one_writer_whatever_it_is_called(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "other").symlink_to("real")
    first = telemetry_module.PeerTelemetry(tmp_path / "real", write_interval_seconds=0.01)
    second = telemetry_module.PeerTelemetry(tmp_path / "other", write_interval_seconds=0.01)
    step(second)
    wait_for(tmp_path / "real", "trainer_steps_total", 1)
    assert [thread.name for thread in threading.enumerate()].count("telemetry") == 1
    first.close()
    second.close()


def test_a_step_costs_microseconds(tmp_path):
    telemetry = telemetry_module.PeerTelemetry(tmp_path)
    logs = {"loss": 1.0, "reward": 0.5, "reward_std": 0.1, "num_tokens": 5, "grad_norm": 1.0}
    costs = []
    for _ in range(300):
        # Of this thread's own work: a busy machine lets it wait.
        begin = time.thread_time()
        step(telemetry, logs)
        costs.append(time.thread_time() - begin)
    telemetry.close()
    assert sorted(costs)[150] < 0.000_62  # 1 % of a step of 62 ms


def test_a_copy_may_be_made_while_steps_end(telemetry):
    # Much is copied then, which takes long.
    for _ in range(4000):
        step(telemetry)
    is_over = threading.Event()

    def train():
        while not is_over.is_set():
            step(telemetry)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        for _ in range(30):
            copy.deepcopy(telemetry)
    finally:
        is_over.set()
        thread.join()
