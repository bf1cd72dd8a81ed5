"""The footprints that the recipes of `peerwatch plan` promise, for five machines and three models, against real peers.

The trainers are configured without checkpointing, so that it is one of the changes.
PEERWATCH_REAL_MODEL names a folder with a pretrained model of some hundred million parameters; without it a model of
that size with random weights stands in, whose memory is the same.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.plan.answer import case
from fleet.plan.footprint import MIB
from fleet.plan.host import GIB, elsewhere
from fleet.plan.recipe import Recipe, find_recipes
from fleet.plan.shapes import find_shape
from fleet.plan.trial import Span, Trial
from fleet.plan.workload import Workload, workload
from tests.models import LLAMA_150M, QWEN_45M, save_model
from trainer.config import LoraOptions, TrainerConfig

pytestmark = [pytest.mark.bench, pytest.mark.timeout(7200)]

SUBJECT = "Recipes of the plan, {}: predicted footprint against the measured peak"
MACHINES = [elsewhere("cpu", gibibytes * GIB, 8) for gibibytes in (3, 4, 6, 8, 12)]
GRPO = {"num_generations": 8, "max_completion_length": 64, "gradient_checkpointing": False}
# A step of the largest takes long, and longer with each completion.
FEWER = {"num_generations": 2}
# After the warm-up, whose second step is the first with the optimizer's numbers, one more.
SPAN = Span(steps=1, seconds=0, limit_seconds=1500)
WITHIN = 0.15


def _config(run_dir: Path, model: str, **options: object) -> TrainerConfig:
    return TrainerConfig(name="a", run_dir=run_dir, model=model, device="cpu", grpo={**GRPO, **options})


def _recipes(config: TrainerConfig) -> list[Recipe]:
    """Of all machines, each set of settings once; those first that have a change which none before them has."""
    found: dict[Workload, Recipe] = {}
    for machine in MACHINES:
        for recipe in find_recipes(case(find_shape(config.model), workload(config, "cpu"), machine)):
            found.setdefault(recipe.planned.work, recipe)
    ordered: list[Recipe] = []
    changed: set[str] = set()
    while left := [recipe for recipe in found.values() if recipe not in ordered]:
        ordered.append(max(left, key=lambda recipe: len({change.key for change in recipe.changes} - changed)))
        changed |= {change.key for change in ordered[-1].changes}
    return ordered


def _measure(config: TrainerConfig, recipe: Recipe, folder: Path) -> float:
    """The peak of one real peer with the recipe's settings, in bytes."""
    work = recipe.planned.work
    changed = {
        "dtype": work.dtype,
        "lora": LoraOptions(r=work.lora_rank).model_dump(mode="json") if work.lora_rank else None,
        "grpo": {**config.grpo, **recipe.options},
    }
    settings = config.model_dump(mode="json", exclude={"name", "run_dir", "swarm"}) | changed
    with Trial(settings, folder, peers=1, threads=1) as trial:
        return trial.run(SPAN, lambda _: None, sample_seconds=0.02)[0].peak_bytes


def _model(name: str, folder: Path) -> str:
    if name == "tiny":
        return "tiny"
    if name == "45M":
        return str(save_model(folder, QWEN_45M))
    return os.environ.get("PEERWATCH_REAL_MODEL") or str(save_model(folder, LLAMA_150M))


@pytest.mark.parametrize("name", ["tiny", "45M", "real"])
def test_every_recipe_needs_what_it_promises(name: str, record: Callable[..., None], tmp_path: Path) -> None:
    config = _config(tmp_path, _model(name, tmp_path / "model"), **(FEWER if name == "real" else {}))
    wrong = []
    for number, recipe in enumerate(_recipes(config)):
        predicted = recipe.planned.footprint.bytes
        measured = _measure(config, recipe, tmp_path / f"trial-{number}")
        error = predicted / measured - 1
        settings = "; ".join(change.setting for change in recipe.changes) or "as configured"
        figures = f"{predicted / MIB:.0f} MiB against {measured / MIB:.0f} MiB, {error:+.1%}"
        record(SUBJECT.format(name), settings, figures, f"within {WITHIN:.0%}")
        if abs(error) > WITHIN:
            wrong.append((settings, figures))
    assert not wrong
