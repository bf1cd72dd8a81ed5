"""Streaks of reports from which nothing can be learnt, and what ends them."""

import pytest

from exporter.progress.learning import Learning
from exporter.progress.names import is_finite, unscored

ALIKE = {"reward": 0.0, "reward_std": 0.0, "frac_reward_zero_std": 1.0, "grad_norm": 0.0}
CUT = {"reward": 0.1, "reward_std": 0.3, "completions/clipped_ratio": 1.0, "completions/mean_terminated_length": 0.0}
NAN = float("nan")


def play(*reports: dict[str, float]) -> dict[str, float]:
    """The samples after these reports, one a second, by streak or by name."""
    learning = Learning()
    for second, report in enumerate(reports):
        learning.take(report, 100.0 + second)
    return {
        sample.labels.get("streak", "") + ("_since" if "start" in sample.name else "") or sample.name: sample.value
        for sample in learning.samples()
    }


def test_what_a_trainer_does_not_log_is_no_streak():
    assert play({"loss": 0.5}) == {"not_finite": 0}
    assert play({"epoch": 0.5}) == {}


def test_a_streak_counts_reports_and_knows_its_begin():
    found = play(ALIKE, ALIKE | {"frac_reward_zero_std": 0.5, "reward_std": 0.4, "grad_norm": 0.3}, ALIKE, ALIKE)
    assert (found["no_signal"], found["no_signal_since"]) == (2, 102)


@pytest.mark.parametrize(
    ("report", "is_without"),
    [
        (ALIKE, True),
        # All right in some groups, all wrong in others.
        (ALIKE | {"reward": 0.5, "reward_std": 0.5}, True),
        (ALIKE | {"reward_std": 0.5, "grad_norm": 0.1}, False),
        (ALIKE | {"reward_std": 0.5, "grad_norm": 0.1, "kl": 0.1}, True),
        (ALIKE | {"reward_std": 0.5, "frac_reward_zero_std": 0.9}, False),
        # TRL 1.16 on rewards of 0.7 throughout, as measured.
        ({"reward": 0.7, "reward_std": 6.15594e-08, "frac_reward_zero_std": 0.0, "grad_norm": 3.7e-4}, True),
        ({"reward": 0.7, "reward_std": 1e-3, "frac_reward_zero_std": 0.0, "grad_norm": 3.7e-4}, False),
        (ALIKE | {"grad_norm": NAN}, False),
        ({"reward": 0.7, "reward_std": 0.0}, True),
    ],
)
def test_a_report_without_a_signal(report, is_without):
    assert play(report)["no_signal"] == is_without


def test_completions_that_are_cut_off_with_a_moving_reward_are_no_streak():
    rising = [CUT | {"reward": 0.1 + 0.01 * step} for step in range(40)]
    assert play(*rising)["cut_off"] == 1
    assert play(*[CUT] * 40)["cut_off"] == 40
    assert play(*[CUT] * 40, CUT | {"completions/mean_terminated_length": 9.0})["cut_off"] == 0


def test_where_lengths_are_not_logged_the_ratio_tells_alone():
    verl = {"critic/rewards/mean": 0.0, "response_length/clip_ratio": 1.0}
    assert play(verl, verl)["cut_off"] == 2
    assert play(verl, verl | {"response_length/clip_ratio": 0.99})["cut_off"] == 0


def test_the_range_is_that_of_the_mean_rewards():
    found = play(CUT, CUT | {"reward": -1.0}, {"reward": NAN})
    assert (found["trainer_reward_mean_lowest"], found["trainer_reward_mean_highest"]) == (-1.0, 0.1)


def test_another_process_begins_its_streaks_anew():
    learning = Learning()
    learning.take({"loss": NAN}, 1.0)
    learning.begin_again()
    assert list(learning.samples()) == []


@pytest.mark.parametrize("name", ["loss", "grad_norm", "reward", "kl", "train/grad_norm", "actor/grad_norm", "Loss"])
def test_a_number_that_a_step_must_not_lose(name):
    assert is_finite({name: NAN, "epoch": 1.0}) is False
    assert is_finite({name: 1.0, "entropy": NAN}) is True


def test_a_reward_of_none_is_not_a_number_where_groups_are_compared():
    assert is_finite(unscored({"reward": None, "reward_std": None, "frac_reward_zero_std": 0.0})) is False
    assert is_finite(unscored({"train/reward": None, "train/frac_reward_zero_std": 0.0})) is False
    # Another kind of report, and an evaluation.
    assert unscored({"reward": None, "loss": 0.5}) == {}
    assert unscored({"eval_reward": None, "eval_frac_reward_zero_std": 0.0}) == {}


# Lines of published runs, in the numbers that matter here.
PUBLISHED = {
    # huggingface/trl#3452: the loss rounds to 0 while the gradient does not.
    "a loss of 0": {"loss": 0.0, "grad_norm": 0.0866, "reward": 1.717, "reward_std": 0.57, "kl": 0.0005},
    # modelscope/ms-swift#5890: most groups are alike, not all.
    "most groups alike": {
        "grad_norm": 0.0303,
        "reward": 0.78125,
        "reward_std": 0.0361,
        "frac_reward_zero_std": 0.875,
        "completions/clipped_ratio": 0.875,
        "kl": 4.328e-05,
    },
    # Chi-Shan0707/TinyLoRA-GRPO-Coder#4
    "none cut off": {
        "loss": -0.0982,
        "grad_norm": 0.1235,
        "reward": 0.5,
        "reward_std": 0.325,
        "frac_reward_zero_std": 0.0,
        "entropy": 0.4019,
        "completions/clipped_ratio": 0.0,
        "completions/mean_terminated_length": 506.75,
    },
}


@pytest.mark.parametrize("line", PUBLISHED)
def test_published_runs_that_learn_are_no_streak(line):
    found = play(*[PUBLISHED[line]] * 50)
    assert [found.get(name, 0) for name in ("no_signal", "cut_off", "not_finite")] == [0, 0, 0]


def test_one_published_step_without_a_signal_is_a_streak_of_one():
    # bingreeky/MemGen#33: 0 for all eight completions, between steps that learn.
    learning = {"grad_norm": 6.23, "reward": 0.375, "reward_std": 0.5175, "frac_reward_zero_std": 0.0}
    without = {"loss": 0.0, "grad_norm": 0.0, "reward": 0.0, "reward_std": 0.0, "frac_reward_zero_std": 1.0}
    assert play(learning, without)["no_signal"] == 1
    assert play(learning, without, learning)["no_signal"] == 0
