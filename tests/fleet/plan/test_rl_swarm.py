"""An instance of rl-swarm is planned by rl-swarm's own configuration."""

from dataclasses import replace
from pathlib import Path

import pytest

from alerts.sizes import show_size
from fleet.plan.answer import answer
from fleet.plan.question import Overrides
from fleet.plan.report import sentences
from fleet.plan.rl_swarm import Instance, pose_instance
from fleet.plan.sizing import size
from fleet.rl_swarm.checkout import read_checkout
from tests.fleet.rl_swarm.stand_in import CONFIGS, make_checkout

GIB = 2**30
MAC = Overrides(memory_bytes=16 * GIB, cores=10, device="mps")
CARD = Overrides(memory_bytes=64 * GIB, cores=16, device="cuda", card_bytes=24 * GIB)


def instance(folder: Path, version: str, **values) -> Instance:
    checkout = read_checkout(make_checkout(folder, version))
    assert checkout is not None
    return Instance(checkout, **values)


def test_stages_are_planned_by_the_fields_of_trl(tmp_path: Path) -> None:
    planned = pose_instance(instance(tmp_path, "0.4"), MAC)
    work = planned.work
    assert planned.shape.name == "Gensyn/Qwen2.5-0.5B-Instruct"
    assert (work.batch, work.accumulation, work.generations) == (2, 4, 2)
    assert (work.prompt_tokens, work.completion_tokens) == (256, 1024)
    assert (work.dtype, work.has_reference, work.checkpointing, work.device) == ("float32", True, True, "mps")
    # Those who run it on a Mac of 16 GB see it killed within the first rounds; its README asks for 16 GB for it alone.
    assert 8 * GIB < planned.peer_bytes < 16 * GIB, show_size(planned.peer_bytes)
    assert answer(planned).peers == 0
    assert answer(pose_instance(instance(tmp_path, "0.4"), replace(MAC, memory_bytes=32 * GIB))).peers == 1


def test_no_measurement_is_advised_that_cannot_be_made(tmp_path: Path) -> None:
    many = pose_instance(instance(tmp_path, "0.6"), replace(MAC, memory_bytes=128 * GIB))
    result = answer(many)
    assert result.peers > 1
    _, sizing, _ = size(many, 1, may_cut=False)
    assert "--measure" not in " ".join([*sentences(many, result), *sizing.reasons])


def test_rounds_are_planned_by_what_their_values_refer_to(tmp_path: Path) -> None:
    planned = pose_instance(instance(tmp_path, "0.6"), MAC)
    work = planned.work
    assert planned.shape.name == "Gensyn/Qwen2.5-0.5B-Instruct"
    assert (work.batch, work.generations, work.completion_tokens) == (4, 2, 256)
    assert (work.dtype, work.has_reference) == ("float32", False)
    assert pose_instance(instance(tmp_path, "0.6"), CARD).shape.name == "Gensyn/Qwen2.5-1.5B-Instruct"


def test_the_dtype_the_length_and_the_model_count(tmp_path: Path) -> None:
    one = instance(tmp_path, "0.7")
    before = pose_instance(one, MAC)
    path = tmp_path / CONFIGS["0.7"]
    path.write_text(path.read_text().replace("'float32'", "'bfloat16'"))
    smaller = pose_instance(one, MAC)
    path.write_text(path.read_text().replace("max_new_tokens: 256", "max_new_tokens: 2048"))
    longer = pose_instance(one, MAC)
    other = pose_instance(one._replace(model="Qwen/Qwen2.5-Coder-1.5B-Instruct"), MAC)
    assert smaller.peer_bytes < before.peer_bytes
    assert smaller.peer_bytes < longer.peer_bytes < other.peer_bytes


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: [", "not YAML"),
        ("[]", "holds no configuration"),
        ("game_manager: {trainer: {models: []}}", "names no model; set `model:`"),
        ("game_manager: {trainer: 3}", "has no attribute"),
    ],
)
def test_a_configuration_that_says_nothing_is_one_line(text: str, error: str, tmp_path: Path) -> None:
    one = instance(tmp_path, "0.6")
    (tmp_path / CONFIGS["0.6"]).write_text(text)
    with pytest.raises(ValueError, match=error) as raised:
        pose_instance(one, MAC)
    assert "\n" not in str(raised.value)
