"""Experiment trackers of `grpo.report_to`: wandb, trackio and TensorBoard write into the run folder, and offline."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROJECT = "peerwatch"


def names(report_to: Any) -> tuple[str, ...]:
    """The trackers that `report_to` names."""
    given = report_to if isinstance(report_to, list) else [report_to]
    return tuple(str(one) for one in given if one not in (None, "none"))


def environment(report_to: Any, run_dir: Path) -> dict[str, str]:
    """Variables by which the trackers neither ask for a login nor write outside the run folder.

    wandb stays offline in every run of the process, not only in its first: without a terminal a login would end the
    trainer, and with one it would wait for an answer.
    """
    known: Mapping[str, Mapping[str, str]] = {
        "wandb": {
            "WANDB_MODE": "offline",
            "WANDB_DIR": str(run_dir),
            "WANDB_PROJECT": _PROJECT,
            "WANDB_SILENT": "true",
        },
        "trackio": {"TRACKIO_DIR": str(run_dir / "trackio")},
        "tensorboard": {"TENSORBOARD_LOGGING_DIR": str(run_dir / "tensorboard")},
    }
    wanted = names(report_to)
    chosen = known if "all" in wanted else {name: known[name] for name in wanted if name in known}
    return {variable: value for variables in chosen.values() for variable, value in variables.items()}


def prepare(report_to: Any, run_dir: Path) -> None:
    """Sets what the environment leaves open, before the trackers are imported."""
    for variable, value in environment(report_to, run_dir).items():
        os.environ.setdefault(variable, value)


def options(report_to: Any, name: str) -> dict[str, Any]:
    """Defaults of GRPOConfig for the trackers: the run is named after the peer."""
    wanted = names(report_to)
    found: dict[str, Any] = {"run_name": name} if wanted else {}
    if {"trackio", "all"} & set(wanted):
        found["project"] = _PROJECT
    return found
