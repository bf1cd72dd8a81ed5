"""The configuration that `init` writes and the demo runs."""

import pytest

from fleet.configuration.checks import Machine
from fleet.configuration.load import load_text
from fleet.configuration.source import demo_text
from fleet.configuration.template import render
from trainer.config import TrainerConfig


@pytest.mark.parametrize("gibibytes", [1, 16, 512])
@pytest.mark.parametrize("peers", [1, 2, 7])
def test_it_is_valid_as_written(tmp_path_factory: pytest.TempPathFactory, gibibytes: int, peers: int) -> None:
    machine = Machine(gibibytes * 2**30, 8)
    loaded = load_text(render("a", peers, machine), "x", tmp_path_factory.getbasetemp())
    assert loaded.lines() == []
    limits = [peer.memory_limit_bytes for peer in loaded.peers]
    assert len(limits) == peers
    assert sum(limit or 0 for limit in limits) <= machine.memory_bytes


def test_the_demo_is_two_small_peers_on_the_cpu(tmp_path_factory: pytest.TempPathFactory) -> None:
    trainers = load_text(demo_text(Machine(2**34, 2)), "demo", tmp_path_factory.getbasetemp()).composition.trainers
    assert [(name, one.model, one.device) for name, one in trainers.items()] == [
        ("demo-0", "tiny", "cpu"),
        ("demo-1", "tiny", "cpu"),
    ]


def test_the_demo_trains_the_default_task(tmp_path_factory: pytest.TempPathFactory) -> None:
    trainers = load_text(demo_text(Machine(2**34, 2)), "demo", tmp_path_factory.getbasetemp()).composition.trainers
    assert {one.task for one in trainers.values()} == {TrainerConfig.model_fields["task"].default}
