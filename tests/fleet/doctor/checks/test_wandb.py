"""A trainer that would wait for a log-in to wandb is named."""

from collections.abc import Callable

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages

OLD_TRAINER = "hivemind_exp.gsm8k.train_single_gpu"


def test_an_old_trainer_without_offline_mode_is_a_failure(examine: Examine, start_trainer: Callable[..., int]) -> None:
    pid = start_trainer(OLD_TRAINER)
    found = messages(examine("wandb"), Level.FAILURE)
    assert f"(pid {pid}): WANDB_MODE is not set; it stops at its second round" in found


def test_a_trainer_in_offline_mode_is_ok(examine: Examine, start_trainer: Callable[..., int]) -> None:
    pid = start_trainer(OLD_TRAINER, WANDB_MODE="offline")
    assert f"(pid {pid})" not in messages(examine("wandb"), Level.FAILURE)


def test_a_trainer_in_online_mode_is_a_warning(examine: Examine, start_trainer: Callable[..., int]) -> None:
    start_trainer(WANDB_MODE="online")
    assert "WANDB_MODE is online" in messages(examine("wandb"), Level.WARNING)
