"""The callback tells what a trainer logs under the names of the table, and nothing that was not measured."""

import re
from decimal import Decimal
from types import SimpleNamespace

import numpy
import pytest

from exporter.textfile_reader import value_of
from tests.exporter.telemetry_run import GO_ON, phase_of, step, telemetry_module, torch, written


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


def test_names_that_are_no_text_raise_nothing(telemetry, tmp_path):
    step(telemetry, {1: 0.5, None: 1.0, ("a",): 2.0, "loss": 0.25})
    assert value_of(written(telemetry, tmp_path), "trainer_loss") == 0.25


def test_labels_are_texts_that_the_page_can_hold(telemetry, tmp_path):
    telemetry.set_info(model="m" * 300, peer_id="a\udcffb", device=None)
    (info,) = [sample.labels for sample in written(telemetry, tmp_path) if sample.name == "trainer_info"]
    assert (info["model"], info["peer_id"], info["device"]) == ("m" * 256, "a?b", "")


def test_an_epoch_that_ends_within_a_step_is_no_training(telemetry):
    telemetry.on_step_begin(None, None, GO_ON)
    assert phase_of(telemetry) == "training"
    telemetry.on_epoch_end(None, None, GO_ON)
    assert phase_of(telemetry) == "waiting"


def test_a_folder_that_the_process_leaves_stays_the_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    telemetry = telemetry_module.PeerTelemetry("peer-1")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    step(telemetry, {"loss": 0.5})
    assert value_of(written(telemetry, tmp_path), "trainer_loss") == 0.5


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
        lambda: torch.tensor([0.75]),
        lambda: numpy.array([[0.75]]),
        lambda: Decimal("0.75"),
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
    telemetry.set_settings(task="chain_sum", token="hf_secret")
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
    settings = next(sample.labels for sample in samples if sample.name == "trainer_settings_info")
    assert {name: text for name, text in settings.items() if text} == {"task": "chain_sum"}
    info = next(sample.labels for sample in samples if sample.name == "trainer_info")
    assert info == {"peer_id": "QmX", "nickname": 'a "b" \\ c', "model": "", "device": ""}


def test_a_value_of_no_use_costs_that_value_and_one_line(telemetry, tmp_path, caplog):
    telemetry.set_round(3, 1)
    for act in (
        lambda: telemetry.set_round(None, 1),
        lambda: telemetry.set_connected_peers("many"),
        lambda: telemetry.published([]),
        lambda: telemetry.rounds_skipped(None),
        lambda: telemetry.outputs_rejected({}),
        lambda: telemetry.set_reward_refused(object),
    ):
        act()
    telemetry.stage_alone()
    samples = written(telemetry, tmp_path)
    assert (value_of(samples, "swarm_round"), value_of(samples, "swarm_stages_alone_total")) == (3, 1)
    assert value_of(samples, "swarm_rounds_skipped_total") == 0
    assert [record.message.split(" for ")[0] for record in caplog.records] == ["a value"]


def test_a_training_within_another_one_has_steps_of_its_own(telemetry, tmp_path):
    """A Trainer that a callback makes and trains, with the callbacks that it was given itself."""
    outer, inner = SimpleNamespace(global_step=1), SimpleNamespace(global_step=1)
    for state in (inner, inner, outer, outer):
        telemetry.on_step_begin(None, state, GO_ON)
        telemetry.on_step_end(None, state, GO_ON)
    assert value_of(written(telemetry, tmp_path), "trainer_steps_total") == 2
