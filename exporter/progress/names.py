"""The names under which trainers log the same number: one table, with where each trainer's names stand.

Names that are not in it are ignored; names of an evaluation never count as training.
"""

import math
import re
from collections.abc import Mapping

# Canonical name -> names of that trainer, the first that was logged counts. Two canonical names that look alike are not
# the same number: `kl` is the distance from the reference model, `mismatch_kl` that between trainer and inference;
# `tokens` counts from the start of the run, `step_tokens` those of one step.
TRAINERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    # trl/trainer/grpo_trainer.py, rloo_trainer.py, ppo_trainer.py (`_metrics`), transformers/trainer.py (`log`).
    "TRL": {
        "reward": ("reward", "rewards/mean", "reward_mean", "objective/rlhf_reward", "objective/scores"),
        "reward_std": ("reward_std", "rewards/std"),
        "loss": ("loss",),
        "kl": ("kl", "objective/kl"),
        "entropy": ("entropy", "objective/entropy"),
        "grad_norm": ("grad_norm",),
        "completion_length": ("completions/mean_length", "completion_length"),
        "clipped_ratio": ("completions/clipped_ratio",),
        "terminated_length": ("completions/mean_terminated_length",),
        "policy_clip_ratio": ("clip_ratio/region_mean", "clip_ratio", "cispo_clip_ratio"),
        "sampling_mismatch": ("sampling/sampling_logp_difference/mean",),
        "zero_spread": ("frac_reward_zero_std",),
        "step_seconds": ("step_time",),
        "tokens": ("num_tokens", "num_input_tokens_seen"),
        "learning_rate": ("learning_rate",),
    },
    # verl/trainer/ppo/metric_utils.py, core_algos.py (`pg_metrics`), ray_trainer.py (`actor/reward_kl_penalty`),
    # verl/workers/actor/dp_actor.py, verl/utils/debug/metrics.py (of probabilities, not their logarithms).
    "verl": {
        "reward": ("critic/rewards/mean", "critic/score/mean"),
        "loss": ("actor/loss", "actor/pg_loss"),
        "kl": ("actor/kl_loss", "actor/reward_kl_penalty"),
        "entropy": ("actor/entropy", "actor/entropy_loss"),
        "grad_norm": ("actor/grad_norm",),
        "completion_length": ("response_length/mean",),
        "clipped_ratio": ("response_length/clip_ratio",),
        "policy_clip_ratio": ("actor/pg_clipfrac",),
        "sampling_mismatch": ("training/rollout_probs_diff_mean",),
        "step_seconds": ("timing_s/step", "perf/time_per_step"),
        "step_tokens": ("perf/total_num_tokens",),
        "learning_rate": ("actor/lr",),
    },
    # prime_rl/trainer/rl/train.py, rl/metrics.py (Prometheus), orchestrator/metrics.py, and the lines that both print.
    "prime-rl": {
        "reward": ("reward/all/mean", "reward/mean", "Reward"),
        "loss": ("loss/mean", "trainer_loss", "Loss"),
        "mismatch_kl": ("mismatch_kl/all/mean", "mismatch_kl/mean", "trainer_mismatch_kl", "Mismatch KL"),
        "entropy": ("entropy/all/mean", "entropy/mean", "trainer_entropy", "Entropy"),
        "grad_norm": ("optim/grad_norm", "trainer_grad_norm", "Grad. Norm"),
        "completion_length": ("decode_len/all/mean",),
        "clipped_ratio": ("is_truncated/all/mean",),
        "step_seconds": ("time/step", "Time"),
        "tokens": ("progress/total_tokens",),
        "step_tokens": ("progress/tokens",),
        "learning_rate": ("optim/lr", "trainer_learning_rate", "LR"),
    },
    # swift/trainers/patcher.py (`add_train_message`) adds to what TRL logs.
    "ms-swift": {"step_seconds": ("train_speed(s/it)",)},
    # mlx_lm_lora/trainer/grpo_trainer.py, sft_trainer.py: what they print, and what they hand to their callbacks.
    "mlx-lm-lora": {
        "reward": ("Total Rewards", "Total rewards mean", "train_total_rewards_mean"),
        "reward_std": ("Group Rewards σ", "Total Rewards σ", "train_grouped_rewards_std", "train_total_rewards_std"),
        "loss": ("Loss", "Train loss", "train_loss"),
        "kl": ("KL Divergence", "KL", "train_kl"),
        "completion_length": ("Avg tokens", "train_average_generated_tokens"),
        "clipped_ratio": ("Hit limit", "train_hit_max_tokens_ratio"),
        "tokens": ("Trained Tokens", "trained_tokens"),
        "learning_rate": ("Learning Rate",),
    },
    # llamafactory/train/callbacks.py (`LogCallback.on_log`).
    "LLaMA-Factory": {"tokens": ("total_tokens",), "learning_rate": ("lr",)},
    # openrlhf/trainer/ray/ppo_actor.py (`experience.info`) and ppo_utils/samples_generator.py (`info`).
    "OpenRLHF": {
        "loss": ("policy_loss",),
        "entropy": ("entropy_loss",),
        "grad_norm": ("actor_grad_norm",),
        "completion_length": ("response_length",),
        "clipped_ratio": ("response_clip_ratio",),
        "policy_clip_ratio": ("ppo_clip_ratio",),
        "sampling_mismatch": ("vllm_kl",),
        "learning_rate": ("actor_lr",),
    },
}

CANONICAL: tuple[str, ...] = tuple(dict.fromkeys(name for table in TRAINERS.values() for name in table))

# Canonical name -> every name that means it, that name itself first.
NAMES: Mapping[str, tuple[str, ...]] = {
    canonical: tuple(dict.fromkeys((canonical, *(n for table in TRAINERS.values() for n in table.get(canonical, ())))))
    for canonical in CANONICAL
}

REWARD_NAMES = NAMES["reward"]
TOKENS_NAMES = NAMES["tokens"]

# Metric of the trainer -> names that trainers log it under.
VALUES: Mapping[str, tuple[str, ...]] = {
    "trainer_reward_mean": REWARD_NAMES,
    "trainer_reward_std": NAMES["reward_std"],
    "trainer_loss": NAMES["loss"],
    "trainer_kl": NAMES["kl"],
    "trainer_completion_tokens": NAMES["completion_length"],
    "trainer_completion_clipped_ratio": NAMES["clipped_ratio"],
    "trainer_completion_terminated_tokens": NAMES["terminated_length"],
    "trainer_groups_without_spread_ratio": NAMES["zero_spread"],
    "trainer_entropy": NAMES["entropy"],
    "trainer_grad_norm": NAMES["grad_norm"],
    "trainer_policy_clip_ratio": NAMES["policy_clip_ratio"],
    "trainer_sampling_mismatch": (*NAMES["sampling_mismatch"], *NAMES["mismatch_kl"]),
    "trainer_logged_step_seconds": NAMES["step_seconds"],
}

# transformers replaces a loss that is not finite before it logs it; the norm of the gradient still shows it.
FINITE = ("loss", "grad_norm", "reward", "kl")

# States of an inference server's requests: they tell activity, never progress (vllm/v1/metrics/loggers.py).
ACTIVITY_NAMES: Mapping[str, str] = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
}

# transformers puts it before what goes to wandb, TensorBoard and trackio (`rewrite_logs`), OpenRLHF too.
_TRAINING_PREFIX = "train/"
# transformers' summary of a run holds it.
_SUMMARY = frozenset({"train_runtime", f"{_TRAINING_PREFIX}train_runtime"})
# What only a step of training yields.
_LEARNING = ("reward", "loss", "kl", "mismatch_kl", "entropy", "grad_norm", "completion_length")
_EVALUATION = re.compile(r"(?:eval|evaluation|test|val|valid|validation|predict)(?:[_/. -]|$)", re.IGNORECASE)


def is_evaluation(name: str) -> bool:
    """Whether a name tells of an evaluation: `eval_loss`, `test/score`, `val-core/gsm8k/reward`, `Val. Reward`."""
    return _EVALUATION.match(name.removeprefix(_TRAINING_PREFIX)) is not None


def without_evaluation(values: Mapping[str, float]) -> dict[str, float]:
    """The numbers of training; none of a report of an evaluation, whatever else it tells (epoch, memory, speed).

    None of the summary at the end either: its loss is the mean of the run.
    """
    if not values.keys().isdisjoint(_SUMMARY):
        return {}
    numbers = {name: value for name, value in values.items() if not is_evaluation(name)}
    if len(numbers) < len(values) and all(find_first(numbers, NAMES[name]) is None for name in _LEARNING):
        return {}
    return numbers


def unscored(logged: Mapping[str, object]) -> dict[str, float]:
    """The reward as not a number where it is None in a report that compares groups; else empty.

    So TRL says that no reward function scored any completion. A None elsewhere may just mean another kind of report.
    """
    names = {name.removeprefix(_TRAINING_PREFIX): name for name in logged if not is_evaluation(name)}
    compares = any(logged[names[name]] is not None for name in NAMES["zero_spread"] if name in names)
    without = [names[name] for name in REWARD_NAMES if name in names and logged[names[name]] is None]
    return dict.fromkeys(without, math.nan) if compares else {}


def is_finite(numbers: Mapping[str, float]) -> bool | None:
    """Whether all of the numbers are that a step must not lose: loss, gradient, reward, KL. None if there are none."""
    found = [number for name in FINITE if (number := find_first(numbers, NAMES[name])) is not None]
    return all(map(math.isfinite, found)) if found else None


def find_first(numbers: Mapping[str, float], names: tuple[str, ...]) -> float | None:
    """The number under the first of these names that was logged, with or without `train/` before it."""
    for name in names:
        for logged_as in (name, _TRAINING_PREFIX + name):
            if logged_as in numbers:
                return numbers[logged_as]
    return None


def translate(values: Mapping[str, float]) -> dict[str, float]:
    """The numbers by their canonical names; others are left out."""
    found = {canonical: find_first(values, names) for canonical, names in NAMES.items()}
    return {canonical: value for canonical, value in found.items() if value is not None}
