"""Trackers stay offline and in the run folder, unless the environment says otherwise."""

from pathlib import Path
from typing import Any

import pytest

from trainer.trackers import environment, names, options, prepare


@pytest.mark.parametrize(
    ("report_to", "found"),
    [(None, ()), ("none", ()), ([], ()), ("wandb", ("wandb",)), (["wandb", "tensorboard"], ("wandb", "tensorboard"))],
)
def test_the_trackers_are_named_by_report_to(report_to: Any, found: tuple[str, ...]) -> None:
    assert names(report_to) == found
    assert bool(options(report_to, "amber")) == bool(found)


def test_wandb_never_asks_for_a_login(tmp_path: Path) -> None:
    variables = environment(["wandb"], tmp_path)

    assert variables["WANDB_MODE"] == "offline"
    assert variables["WANDB_DIR"] == str(tmp_path)


def test_the_environment_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    for variable in ("WANDB_DIR", "WANDB_PROJECT", "WANDB_SILENT", "TRACKIO_DIR", "TENSORBOARD_LOGGING_DIR"):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    import os

    prepare("all", tmp_path)

    assert os.environ["WANDB_MODE"] == "online"
    assert os.environ["TRACKIO_DIR"] == str(tmp_path / "trackio")


def test_the_run_is_named_after_the_peer() -> None:
    assert options("tensorboard", "amber") == {"run_name": "amber"}
    assert options(["trackio"], "amber") == {"run_name": "amber", "project": "peerwatch"}
