"""For each count of peers the settings that cost learning least, on machines and models that people ask for."""

from dataclasses import replace
from pathlib import Path

import pytest

from fleet.configuration.load import load_text
from fleet.plan.answer import answer, case, count_of
from fleet.plan.host import GIB, Host, elsewhere
from fleet.plan.known_points import compare
from fleet.plan.recipe import KEYS, MOST_RECIPES, Recipe, find_recipes
from fleet.plan.shapes import find_shape
from fleet.plan.sizing import write
from fleet.plan.workload import workload
from tests.fleet.plan.test_answer import on
from tests.fleet.plan.test_footprint import WORK
from trainer.config import TrainerConfig

MACHINES = {
    "a Mac of 16 GiB": elsewhere("mps", 16 * GIB, 10),
    "a Mac of 32 GiB": elsewhere("mps", 32 * GIB, 10),
    "a server": elsewhere("cpu", 64 * GIB, 16, disk_bytes=200 * GIB),
    "a small server": elsewhere("cpu", 8 * GIB, 4),
    "a card": elsewhere("cuda", 64 * GIB, 16, card_bytes=24 * GIB),
}
MODELS = ("tiny", "Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-1.5B-Instruct")


def recipes_of(machine: Host, model: str, **options: object) -> tuple[list[Recipe], TrainerConfig]:
    config = TrainerConfig.model_validate({"name": "a", "run_dir": Path("a"), "model": model, **options})
    return find_recipes(case(find_shape(model), workload(config, machine.device), machine)), config


def settings(recipe: Recipe) -> list[str]:
    return [one.key for one in recipe.changes]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("model", MODELS)
def test_every_recipe_fits_and_its_file_is_one_that_fits(machine: str, model: str, tmp_path: Path) -> None:
    recipes, config = recipes_of(MACHINES[machine], model)
    assert [one.peers for one in recipes] == sorted({one.peers for one in recipes})
    for recipe in recipes:
        assert count_of(recipe.planned) >= recipe.peers
        text = write(recipe, config, "a")
        loaded = load_text(text, "peerwatch.yaml", tmp_path, tmp_path / "state")
        assert loaded.is_usable, loaded.lines()
        assert len(loaded.peers) == recipe.peers
        total = sum(peer.memory_limit_bytes or 0 for peer in loaded.peers)
        assert total <= MACHINES[machine].memory_bytes
        trainer = next(iter(loaded.composition.trainers.values()))
        assert trainer.device == ("cpu" if MACHINES[machine].device == "cpu" else "auto")
        assert workload(trainer, MACHINES[machine].device) == recipe.planned.work, "what is written is what was planned"


def test_what_costs_learning_least_is_changed_first() -> None:
    found = {one.peers: settings(one) for one in find_recipes(on(16, completion_tokens=512))}
    batch = "per_device_train_batch_size"
    assert found == {1: [batch], 2: [batch, "lora"], 3: [batch, "dtype", "lora"], 4: [batch, "dtype", "lora"]}
    for one in find_recipes(on(32, completion_tokens=512, checkpointing=False)):
        assert settings(one) == [key for key in KEYS if key in settings(one)]


def test_nothing_is_changed_without_need() -> None:
    planned = on(64)
    recipes = find_recipes(planned)
    as_configured = answer(planned).peers
    for recipe in recipes[:as_configured]:
        assert recipe.changes == ()
        assert recipe.planned is planned
    assert all(one.changes for one in recipes[as_configured:])


def test_a_machine_for_which_all_is_too_much_has_no_recipe() -> None:
    assert find_recipes(on(5)) == []
    assert find_recipes(on(16), peers=200) == []


def test_of_a_large_machine_the_first_counts_and_the_largest_are_named() -> None:
    machine = elsewhere("cpu", 1024 * GIB, 64)
    planned = case(find_shape("tiny"), replace(WORK, device="cpu"), machine)
    counts = [one.peers for one in find_recipes(planned)]
    assert counts == [*range(1, MOST_RECIPES), 64]
    assert [one.peers for one in find_recipes(planned, peers=40)] == [40]


def test_what_the_peers_had_set_is_kept(tmp_path: Path) -> None:
    options = {
        "task": "spell_backward",
        "task_options": {"min_word_len": 3},
        "rewards": ["answer_form"],
        "seed": 7,
        "stall": {"floor_seconds": 20.0},
        "grpo": {"learning_rate": 1e-6, "num_generations": 4, "steps_per_generation": 2, "lr_scheduler_type": "cosine"},
    }
    (*_, recipe), config = recipes_of(MACHINES["a Mac of 16 GiB"], MODELS[1], **options)
    loaded = load_text(write(recipe, config, "a"), "peerwatch.yaml", tmp_path, tmp_path / "state")
    assert loaded.is_usable, loaded.lines()
    trainer = next(iter(loaded.composition.trainers.values()))
    # Each peer's own is made from it.
    assert loaded.config is not None
    assert loaded.config.trainer["seed"] == 7
    for name in ("task", "task_options", "rewards", "stall"):
        assert getattr(trainer, name) == getattr(config, name)
    assert trainer.grpo["learning_rate"] == 1e-6
    assert trainer.grpo["lr_scheduler_type"] == "cosine"
    assert workload(trainer, "mps") == recipe.planned.work


def test_a_mac_is_compared_with_what_others_run_there() -> None:
    known, ours, why = compare(on(16, completion_tokens=512))
    assert "8 to 12 GB a peer; peers that its users run: 16 GiB: 2, 24 GiB: 2 to 3, 32 GiB: 3 to 4" in known
    assert ours.startswith("The same batch here: 10.1 GB a peer (float32, 512 tokens); peers that fit: 16 GiB: 1")
    assert "compressed and swapped" in why
    assert list(compare(on(16, device="cpu"))) == []
    assert list(compare(replace(on(16), shape=find_shape("tiny")))) == []


def test_measured_figures_stay_those_of_the_measured_settings() -> None:
    planned = replace(on(16, device="cpu"), measured_bytes=4.0 * GIB)
    first, second, *_ = find_recipes(planned)
    assert (first.changes, second.changes) == ((), ())
    assert first.planned.peer_bytes == 4.0 * GIB


def test_the_largest_batch_that_fits_is_taken() -> None:
    for recipe in find_recipes(on(32, completion_tokens=512)):
        work = recipe.planned.work
        if work.accumulation > 1:
            larger = replace(work, batch=2 * work.batch, accumulation=work.accumulation // 2)
            assert count_of(case(recipe.planned.shape, larger, recipe.planned.host)) < recipe.peers
