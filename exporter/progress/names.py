"""The names under which trainers log the same number: one table, the first that was logged counts."""

from collections.abc import Mapping

# The names vary between TRL's trainers and releases.
REWARD_NAMES = ("reward", "rewards/mean", "reward_mean", "objective/rlhf_reward", "objective/scores")
TOKENS_NAMES = ("num_tokens", "num_input_tokens_seen")

# Metric of the trainer -> names that trainers log it under.
VALUES: Mapping[str, tuple[str, ...]] = {
    "trainer_reward_mean": REWARD_NAMES,
    "trainer_reward_std": ("reward_std", "rewards/std"),
    "trainer_loss": ("loss",),
    "trainer_kl": ("kl", "objective/kl"),
    "trainer_completion_tokens": ("completions/mean_length", "completion_length"),
    "trainer_completion_clipped_ratio": ("completions/clipped_ratio",),
}

# transformers replaces a loss that is not finite before it logs it; the norm of the gradient still shows it.
FINITE_NAMES = ("loss", "grad_norm", *REWARD_NAMES)


def find_first(numbers: Mapping[str, float], names: tuple[str, ...]) -> float | None:
    """The number under the first of these names that was logged."""
    return next((numbers[name] for name in names if name in numbers), None)
