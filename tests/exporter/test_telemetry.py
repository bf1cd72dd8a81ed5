"""The callback fills trainer.prom from inside a real transformers Trainer, and costs training nothing."""

import contextlib
import copy
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy
import pytest

from exporter.pace import Pace
from exporter.textfile_reader import parse, value_of
from exporter.textfile_writer import read_last_step
from tests import fakes
from tests.lazy import lazily
from tests.programs import small_disk

telemetry_module = lazily("exporter.telemetry")
torch = lazily("torch")

GO_ON = SimpleNamespace(should_evaluate=False, should_save=False)

TRAIN = """
import sys, torch, transformers
from exporter.telemetry import PeerTelemetry

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
    def forward(self, x, labels=None):
        predicted = self.layer(x)
        return {"loss": ((predicted - labels) ** 2).mean(), "logits": predicted}

def train(run_dir, steps, **options):
    data = [{"x": torch.ones(1), "labels": torch.ones(1)}] * 64
    arguments = transformers.TrainingArguments(
        run_dir + "-output", max_steps=steps, per_device_train_batch_size=2, logging_steps=1, report_to=[],
        disable_tqdm=True, use_cpu=True, **{"save_strategy": "no"} | options)
    telemetry = PeerTelemetry(run_dir, write_interval_seconds=0.05)
    trainer = transformers.Trainer(
        Net(), arguments, train_dataset=data, eval_dataset=data[:2], callbacks=[telemetry])
    trainer.train()
    print("steps", trainer.state.global_step)
    return telemetry
"""


# Importing transformers takes seconds, so it is done once: each scenario is a child that ends as a program does.
FORKS = """
import json, os
exec(sys.argv[2])
for name, (folder, code) in json.load(sys.stdin).items():
    if os.fork() == 0:
        for number, ending in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{sys.argv[1]}/{name}.{ending}", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        sys.argv[1:] = [folder]
        exec(code, globals())
        break
    os.wait()
"""

REAL = 'train(sys.argv[1], 12, save_strategy="steps", save_steps=4, eval_strategy="steps", eval_steps=6)'
FORGETFUL = "PeerTelemetry(sys.argv[1])"
VANISHED = """
import shutil, threading
threading.Timer(0.3, shutil.rmtree, [sys.argv[1]]).start()
class Slow(transformers.TrainerCallback):
    def on_step_end(self, *_, **__):
        import time; time.sleep(0.02)
data = [{"x": torch.ones(1), "labels": torch.ones(1)}] * 8
telemetry = PeerTelemetry(sys.argv[1], write_interval_seconds=0.01)
trainer = transformers.Trainer(
    Net(), transformers.TrainingArguments(sys.argv[1] + "-output", max_steps=60, report_to=[],
    disable_tqdm=True, use_cpu=True, save_strategy="no"), train_dataset=data, callbacks=[telemetry, Slow()])
trainer.train()
print("steps", trainer.state.global_step)
"""
FULL = """
with open(sys.argv[1] + "/ballast", "wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError as error:
        print(error)
os.makedirs(sys.argv[1] + "/peer", exist_ok=True)
telemetry = PeerTelemetry(sys.argv[1] + "/peer", write_interval_seconds=0.01)
for _ in range(100):
    telemetry.on_step_begin(None, None, None)
    __import__("time").sleep(0.002)
    telemetry.set_round(1, 1)
telemetry.close()
print(sorted(os.listdir(sys.argv[1] + "/peer")), "trained on")
"""
DISK = "size=64k"
READ_ONLY = """
__import__("subprocess").run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
telemetry = PeerTelemetry(sys.argv[1] + "/other peer", write_interval_seconds=0.01)
for _ in range(100):
    telemetry.on_step_begin(None, None, None)
    __import__("time").sleep(0.002)
telemetry.close()
print("trained on")
"""


@pytest.fixture(scope="module")
def trained_in(tmp_path_factory):
    """Where all scenarios have run: what each printed is there, in NAME.out and NAME.err.

    Those that need a disk of their own are left out where there is none.
    """
    folder = tmp_path_factory.mktemp("scenarios")
    codes = {"my peer": REAL, "vanished": VANISHED, "forgetful": FORGETFUL}
    scenarios = {name: (str(folder / name), code) for name, code in codes.items()}
    disk = folder / "disk"
    disk.mkdir()
    try:
        wrapper = small_disk(DISK, disk)
    except pytest.skip.Exception:
        wrapper = ()
    else:
        scenarios |= {"full": (str(disk), FULL), "read-only": (str(disk), READ_ONLY)}
    first = "transformers.Trainer, transformers.TrainingArguments"
    command = [*wrapper, sys.executable, "-W", "ignore", "-c", TRAIN + FORKS, folder, first]
    subprocess.run(command, input=json.dumps(scenarios), text=True, timeout=360, check=True)
    return folder


@pytest.fixture(scope="module")
def disk_trouble(trained_in):
    """Where a disk was full and then read-only."""
    small_disk(DISK, trained_in / "disk")
    return trained_in


def printed(folder, name):
    return tuple((folder / f"{name}.{ending}").read_text() for ending in ("out", "err"))


def read(run_dir):
    return parse((run_dir / "trainer.prom").read_text())


def wait_for(run_dir, name, value):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (run_dir / "trainer.prom").exists() and value_of(read(run_dir), name) == value:
            return
        time.sleep(0.01)
    raise AssertionError(f"{name} never became {value}")


def state(samples):
    return next(r.labels["trainer_state"] for r in samples if r.name == "trainer_state" and r.value == 1.0)


@pytest.fixture
def telemetry(tmp_path):
    started = telemetry_module.PeerTelemetry(tmp_path / "peer-1", write_interval_seconds=0.01)
    yield started
    started.close()


def written(telemetry, tmp_path):
    telemetry.close()
    return read(tmp_path / "peer-1")


def step(telemetry, logs=None, control=GO_ON):
    telemetry.on_step_begin(None, None, control)
    telemetry.on_step_end(None, None, control)
    if logs is not None:
        telemetry.on_log(None, None, control, logs=logs)


# In a real Trainer


def test_a_real_trainer_reports_its_progress(trained_in):
    out, err = printed(trained_in, "my peer")
    assert "steps 12" in out, err
    samples = read(trained_in / "my peer")
    assert value_of(samples, "trainer_steps_total") == 12
    assert value_of(samples, "trainer_step_duration_seconds_count") == 12
    assert value_of(samples, "trainer_nonfinite_steps_total") == 0
    assert 0 < value_of(samples, "trainer_loss") < 10
    written_at = (trained_in / "my peer" / "trainer.prom").stat().st_mtime
    assert abs(value_of(samples, "trainer_last_step_timestamp_seconds") - written_at) < 60
    assert state(samples) == "stopped"
    info = next(sample.labels for sample in samples if sample.name == "trainer_info")
    assert (info["nickname"], info["device"]) == ("my peer", "cpu")
    assert value_of(samples, "swarm_round") is None
    assert json.loads((trained_in / "my peer" / "process.json").read_text())["pid"] > 0


def test_a_vanished_folder_costs_the_metrics_and_one_line(trained_in):
    out, err = printed(trained_in, "vanished")
    assert "steps 60" in out, err
    assert err.count("cannot write metrics to") == 1
    assert not (trained_in / "vanished").exists()


def test_a_full_disk_costs_the_metrics_and_one_line(disk_trouble):
    out, err = printed(disk_trouble, "full")
    assert "No space left" in out
    assert "[] trained on" in out or "['trainer.prom'] trained on" in out, out + err
    assert err.count("cannot write metrics to") == 1


def test_a_read_only_folder_costs_the_metrics_and_one_line(disk_trouble):
    out, err = printed(disk_trouble, "read-only")
    assert "trained on" in out, err
    assert err.count("cannot write metrics to") == 1
    assert "Read-only" in err


# What is measured


def test_what_was_not_measured_is_absent(telemetry, tmp_path):
    names = {sample.name for sample in written(telemetry, tmp_path)}
    absent = {
        "trainer_reward_mean",
        "trainer_reward_std",
        "trainer_loss",
        "trainer_kl",
        "trainer_completion_tokens",
        "trainer_completion_clipped_ratio",
        "trainer_tokens_total",
        "trainer_accelerator_memory_bytes",
        "trainer_last_step_timestamp_seconds",
        "swarm_round",
        "swarm_connected_peers",
        "swarm_publish_failures_total",
        "swarm_last_publish_timestamp_seconds",
    }
    assert names & absent == set()


@pytest.mark.parametrize(
    "logs",
    [
        {"loss": 0.5, "reward": 1.25, "reward_std": 0.75, "num_tokens": 900.0, "completions/mean_length": 12.0},
        {"loss": 0.5, "rewards/mean": 1.25, "rewards/std": 0.75, "num_input_tokens_seen": 900, "completion_length": 12},
        {
            "loss": 0.5,
            "objective/rlhf_reward": 1.25,
            "reward_std": 0.75,
            "num_tokens": 900,
            "run": "text",
            "none": None,
        },
    ],
)
def test_the_names_of_several_trainers_are_understood(telemetry, tmp_path, logs):
    step(telemetry, logs)
    samples = written(telemetry, tmp_path)
    assert value_of(samples, "trainer_loss") == 0.5
    assert value_of(samples, "trainer_reward_mean") == 1.25
    assert value_of(samples, "trainer_reward_std") == 0.75
    assert value_of(samples, "trainer_tokens_total") == 900


def test_what_a_run_learns_from_is_told(telemetry, tmp_path):
    logs = {
        "reward": 0.5,
        "reward_std": 0.0,
        "frac_reward_zero_std": 1.0,
        "grad_norm": 0.0,
        "entropy": 0.25,
        "completions/clipped_ratio": 0.5,
        "completions/mean_terminated_length": 9.5,
        "step_time": 2.5,
        "clip_ratio/region_mean": 0.01,
        "sampling/sampling_logp_difference/mean": 0.002,
    }
    step(telemetry, logs)
    step(telemetry, logs)
    samples = written(telemetry, tmp_path)
    assert value_of(samples, "trainer_groups_without_spread_ratio") == 1
    assert value_of(samples, "trainer_grad_norm") == 0
    assert value_of(samples, "trainer_entropy") == 0.25
    assert value_of(samples, "trainer_completion_terminated_tokens") == 9.5
    assert value_of(samples, "trainer_logged_step_seconds") == 2.5
    assert value_of(samples, "trainer_policy_clip_ratio") == 0.01
    assert value_of(samples, "trainer_sampling_mismatch") == 0.002
    streaks = {one.labels["streak"]: one.value for one in samples if one.name == "trainer_streak_reports"}
    assert streaks == {"no_signal": 2, "cut_off": 0, "not_finite": 0}


def test_a_reward_that_no_function_gave_is_counted(telemetry, tmp_path):
    step(telemetry, {"loss": 0.0, "reward": None, "reward_std": None, "frac_reward_zero_std": 0.0})
    assert value_of(written(telemetry, tmp_path), "trainer_nonfinite_steps_total") == 1


@pytest.mark.parametrize("name", ["loss", "reward", "grad_norm"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_counted_and_not_written(telemetry, tmp_path, name, value):
    step(telemetry, {"loss": 0.5, "reward": 1.0})
    step(telemetry, {"loss": 0.25, "reward": 2.0} | {name: value})
    samples = written(telemetry, tmp_path)
    assert value_of(samples, "trainer_nonfinite_steps_total") == 1
    assert value_of(samples, "trainer_loss") == (0.5 if name == "loss" else 0.25)
    assert value_of(samples, "trainer_reward_mean") == (1.0 if name == "reward" else 2.0)
    assert not re.search(r"(?i)nan| [+-]?inf", (tmp_path / "peer-1" / "trainer.prom").read_text())


@pytest.mark.parametrize(
    "logs",
    [
        {"kl": 0.25, "completions/mean_length": 12.5, "completions/clipped_ratio": 0.5},
        {"objective/kl": 0.25, "completion_length": 12.5, "completions/clipped_ratio": 0.5},
    ],
)
def test_divergence_and_length_of_completions_are_understood(telemetry, tmp_path, logs):
    step(telemetry, logs)
    step(telemetry, dict.fromkeys(logs, float("nan")))
    samples = written(telemetry, tmp_path)
    assert value_of(samples, "trainer_kl") == 0.25
    assert value_of(samples, "trainer_completion_tokens") == 12.5
    assert value_of(samples, "trainer_completion_clipped_ratio") == 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: numpy.float32(0.75),
        lambda: numpy.float64(0.75),
        lambda: numpy.array(0.75),
        lambda: torch.tensor(0.75),
        lambda: torch.tensor(0.75).bfloat16(),
    ],
)
def test_numbers_of_numpy_and_torch_count(telemetry, tmp_path, make):
    step(telemetry, {"reward": make(), "completion_length": numpy.int64(12), "num_tokens": torch.tensor(900)})
    samples = written(telemetry, tmp_path)
    assert value_of(samples, "trainer_reward_mean") == 0.75
    assert value_of(samples, "trainer_completion_tokens") == 12
    assert value_of(samples, "trainer_tokens_total") == 900


@pytest.mark.parametrize("make", [lambda: numpy.float32("nan"), lambda: torch.tensor(float("inf"))])
def test_numbers_of_numpy_and_torch_that_are_not_finite_are_counted(telemetry, tmp_path, make):
    step(telemetry, {"loss": make()})
    assert value_of(written(telemetry, tmp_path), "trainer_nonfinite_steps_total") == 1


class Broken:
    ndim = 0

    def item(self):
        raise RuntimeError("it is on another device")


@pytest.mark.parametrize(
    "make",
    [
        lambda: True,
        lambda: numpy.bool_(True),
        lambda: torch.tensor(True),
        lambda: torch.ones(2),
        lambda: torch.ones(1, device="meta")[0],
        lambda: 10**400,
        lambda: "1",
        Broken,
    ],
)
def test_what_is_no_number_is_left_out(telemetry, tmp_path, make):
    step(telemetry, {"reward": make(), "loss": 0.5})
    samples = written(telemetry, tmp_path)
    assert value_of(samples, "trainer_reward_mean") is None
    assert value_of(samples, "trainer_loss") == 0.5


def test_tokens_add_up_over_several_trainings(telemetry, tmp_path):
    for tokens in (100, 250, 80, 90):
        step(telemetry, {"num_tokens": tokens})
    assert value_of(written(telemetry, tmp_path), "trainer_tokens_total") == 340


def test_the_swarm_is_reported(telemetry, tmp_path):
    telemetry.set_info(peer_id="QmX", nickname='a "b" \\ c', unknown="dropped")
    telemetry.set_round(7, 2)
    telemetry.set_connected_peers(3)
    telemetry.published(1_700_000_000.5)
    telemetry.publish_failed()
    telemetry.publish_failed()
    telemetry.rounds_skipped(4)
    telemetry.stage_alone()
    telemetry.outputs_rejected(5)
    samples = written(telemetry, tmp_path)
    assert {r.name: r.value for r in samples if r.name.startswith("swarm_")} == {
        "swarm_round": 7,
        "swarm_stage": 2,
        "swarm_connected_peers": 3,
        "swarm_publish_failures_total": 2,
        "swarm_rounds_skipped_total": 4,
        "swarm_stages_alone_total": 1,
        "swarm_outputs_rejected_total": 5,
        "swarm_last_publish_timestamp_seconds": 1_700_000_000.5,
    }
    info = next(sample.labels for sample in samples if sample.name == "trainer_info")
    assert info == {"peer_id": "QmX", "nickname": 'a "b" \\ c', "model": "", "device": ""}


# Phases


def phase_of(telemetry):
    samples = [sample for family in telemetry.collect() for sample in family.samples]
    return state([SimpleNamespace(name=s.name, labels=s.labels, value=s.value) for s in samples])


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
    spent = phase_seconds(telemetry)
    passed = time.perf_counter() - began
    assert spent["waiting"] >= 0.2
    assert 0.1 <= spent["training"] < passed - 0.2 + 0.05
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


# The file


def test_the_file_is_written_automatically_and_at_most_once_per_interval(tmp_path):
    telemetry = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.2)
    wait_for(tmp_path, "trainer_steps_total", 0)
    began, steps, versions = time.monotonic(), 0, set()
    while len(versions) < 4:
        step(telemetry)
        steps += 1
        versions.add((tmp_path / "trainer.prom").stat().st_mtime_ns)
        assert time.monotonic() - began < 60
        time.sleep(0.005)
    passed = time.monotonic() - began
    wait_for(tmp_path, "trainer_steps_total", steps)
    telemetry.close()
    # The first may have been there before, and the second was written at any time: two intervals lie between the rest.
    assert passed >= 2 * 0.2


def test_a_reader_always_meets_a_whole_file(tmp_path):
    telemetry = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.0)
    wait_for(tmp_path, "trainer_steps_total", 0)
    for _ in range(300):
        step(telemetry, {"loss": 1.0})
        read(tmp_path)
    telemetry.close()


def test_the_last_step_of_the_previous_run_is_kept(tmp_path):
    telemetry = telemetry_module.PeerTelemetry(tmp_path)
    step(telemetry)
    telemetry.close()
    before = read_last_step(tmp_path)
    assert before is not None
    restarted = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.01)
    wait_for(tmp_path, "trainer_steps_total", 0)
    assert read_last_step(tmp_path) == before
    step(restarted)
    restarted.close()
    after = read_last_step(tmp_path)
    assert after is not None
    assert after > before


@pytest.mark.parametrize("value", ["NaN", "-1", "9e99", "x", "0x"])
def test_an_impossible_last_step_is_not_kept(tmp_path, value):
    (tmp_path / "trainer.prom").write_text(f"trainer_last_step_timestamp_seconds {value}\n")
    assert read_last_step(tmp_path) is None


def test_closing_writes_stopped_and_is_harmless_twice(telemetry, tmp_path):
    step(telemetry)
    telemetry.close()
    telemetry.close()
    step(telemetry)
    assert state(read(tmp_path / "peer-1")) == "stopped"
    assert not [thread for thread in threading.enumerate() if thread.name == "telemetry"]


def test_a_trainer_that_forgets_to_close_is_closed_at_its_end(trained_in):
    assert state(read(trained_in / "forgetful")) == "stopped"


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


FIRST, OTHER = SimpleNamespace(is_world_process_zero=True), SimpleNamespace(is_world_process_zero=False)


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


# Several of them


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


# The pace


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
