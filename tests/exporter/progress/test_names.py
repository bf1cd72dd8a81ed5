"""One table says which names of trainers mean the same number."""

import pytest

from exporter.metrics import TRAINER
from exporter.progress.names import CANONICAL, NAMES, VALUES, find_first, is_evaluation, translate, without_evaluation


def test_no_name_means_two_numbers():
    names = [name for known in NAMES.values() for name in known]
    assert len(names) == len(set(names))


def test_each_metric_of_the_table_is_one_that_trainers_serve():
    assert VALUES.keys() <= {metric.name for metric in TRAINER}


def test_the_name_that_stands_first_counts():
    assert find_first({"critic/score/mean": 0.1, "critic/rewards/mean": 0.2}, NAMES["reward"]) == 0.2
    assert find_first({"train/reward": 0.3}, NAMES["reward"]) == 0.3
    assert find_first({"score": 0.3}, NAMES["reward"]) is None


def test_a_distance_from_the_inference_server_is_not_that_from_the_reference_model():
    assert translate({"mismatch_kl/all/mean": 0.1, "actor/ppo_kl": 0.2}) == {"mismatch_kl": 0.1}


def test_unknown_names_are_left_out():
    assert translate({"train/reward": 1.0, "rewards/my_function/mean": 2.0, "epoch": 3.0}) == {"reward": 1.0}


@pytest.mark.parametrize(
    "name",
    [
        "eval_loss",
        "eval/reward",
        "test_score",
        "val-core/gsm8k/reward/mean@1",
        "val/loss",
        "Val loss",
        "Val. Reward",
        "predict_loss",
    ],
)
def test_an_evaluation_never_counts_as_training(name):
    assert is_evaluation(name)
    assert without_evaluation({name: 1.0, "epoch": 0.5, "memory(GiB)": 3.0, "learning_rate": 1e-6}) == {}


@pytest.mark.parametrize("name", ["values", "critic/values/mean", "valuation", "tests", "reward", "evaluator_loss"])
def test_a_name_that_only_begins_so_is_none_of_an_evaluation(name):
    assert not is_evaluation(name)


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_the_summary_of_a_run_is_no_step_of_it(prefix):
    assert without_evaluation({f"{prefix}train_runtime": 9.0, f"{prefix}train_loss": 0.5, "epoch": 1.0}) == {}


def test_a_report_of_both_keeps_what_is_of_training():
    assert without_evaluation({"val-core/x": 1.0, "actor/pg_loss": 2.0}) == {"actor/pg_loss": 2.0}


@pytest.mark.parametrize("name", CANONICAL)
def test_a_canonical_name_means_itself(name):
    assert translate({name: 1.0}) == {name: 1.0}
