"""What `init` writes for machines of several sizes."""

from dataclasses import replace

import pytest

from fleet.configuration.checks import Machine
from fleet.configuration.load import load_text
from fleet.configuration.template import render
from fleet.plan.answer import case
from fleet.plan.host import GIB, elsewhere
from fleet.plan.shapes import find_shape
from fleet.plan.sizing import MOST_UNMEASURED, size
from tests.fleet.plan.test_answer import on
from tests.fleet.plan.test_footprint import WORK


def test_as_many_peers_as_fit_with_limits_that_fit() -> None:
    count, sizing, warning = size(on(32, batch=4, accumulation=2), None)

    assert (count, warning) == (2, "")
    assert 10 * GIB < count * (sizing.memory_limit_bytes or 0) < 32 * GIB
    assert sizing.grpo == {}
    assert "2 fit, limited by memory" in sizing.reasons[0]


def test_batches_are_cut_until_a_peer_fits() -> None:
    count, sizing, warning = size(on(16, completion_tokens=512), None)

    assert (count, warning) == (1, "")
    assert sizing.grpo == {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}


def test_more_peers_than_fit_are_written_with_a_warning() -> None:
    count, sizing, warning = size(on(16, lora_rank=16), 3)

    assert count == 3
    assert warning.startswith("3 peers are more than fit: memory allows 1 (")
    assert 3 * (sizing.memory_limit_bytes or 0) <= 16 * GIB


def test_a_peer_that_does_not_fit_at_all_is_written_with_a_warning() -> None:
    count, _, warning = size(on(6), None)

    assert count == 1
    assert warning.startswith("1 peer is more than fits: memory allows 0 (")


def test_many_toys_wait_for_a_measurement() -> None:
    planned = case(find_shape("tiny"), replace(WORK, device="cpu"), elsewhere("cpu", 256 * GIB, 64))

    count, sizing, _ = size(planned, None)

    assert count == MOST_UNMEASURED
    assert "peerwatch plan --measure" in sizing.reasons[-1]
    measured, _, _ = size(replace(planned, pace={8: 80.0, 9: 81.0}), None)
    assert measured == 8


@pytest.mark.parametrize("memory", [6, 16, 24, 32, 64, 512])
def test_the_file_is_right_as_it_stands(memory: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    count, sizing, _ = size(on(memory, completion_tokens=512), None)

    text = render("a", count, Machine(memory * GIB, 10), sizing=sizing)
    loaded = load_text(text, "x", tmp_path_factory.getbasetemp())

    assert loaded.lines() == []
    first = loaded.composition.trainers["a-0"]
    assert (len(loaded.peers), first.model) == (count, "Qwen/Qwen2.5-0.5B-Instruct")
    assert first.grpo == dict(sizing.grpo)
    assert loaded.peers[0].memory_limit_bytes
    assert sum(peer.memory_limit_bytes or 0 for peer in loaded.peers) <= memory * GIB
