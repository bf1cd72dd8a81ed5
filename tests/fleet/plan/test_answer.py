"""How many peers fit: on machines that people run peers on, and at each bound."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.plan.answer import Answer, Case, answer, case, fitted
from fleet.plan.host import GIB, elsewhere
from fleet.plan.shapes import find_shape
from tests.fleet.plan.test_footprint import HALF_A_BILLION, WORK


def on(memory: float, *, cores: int = 10, device: str = "mps", disk: float | None = None, **changes: Any) -> Case:
    host = elsewhere(device, memory * GIB, cores, disk_bytes=disk * GIB if disk else None, card_bytes=24 * GIB)
    return case(HALF_A_BILLION, replace(WORK, device=device, **changes), host)


def plan(memory: float, **options: Any) -> Answer:
    return answer(on(memory, **options))


@pytest.mark.parametrize(
    ("gibibytes", "in_halves", "with_adapters"), [(8, 0, 0), (16, 1, 1), (24, 1, 3), (32, 2, 4), (64, 5, 9)]
)
def test_macs_of_these_sizes_hold_so_many_peers(gibibytes: int, in_halves: int, with_adapters: int) -> None:
    assert plan(gibibytes, batch=4, accumulation=2).peers == in_halves
    assert plan(gibibytes, lora_rank=16).peers == with_adapters


@pytest.mark.parametrize("cores", [1, 2, 10, 64])
@pytest.mark.parametrize("memory", [16, 64, 1024])
def test_threads_are_divided_and_cores_never_oversubscribed(memory: int, cores: int) -> None:
    result = plan(memory, cores=cores, device="cpu", batch=2, accumulation=4)

    assert result.threads >= 1
    assert result.peers * result.threads <= cores


def test_the_bound_that_limits_is_named_with_its_figures() -> None:
    assert plan(1024, cores=3, device="cpu").bound.name == "cores"
    by_memory = plan(24, device="cpu").bound
    assert by_memory.name == "memory"
    assert "GiB for peers of" in by_memory.why
    by_disk = plan(1024, device="cpu", disk=30).bound
    assert (by_disk.name, by_disk.peers) == ("disk", 1)


def test_a_card_bounds_by_its_own_memory() -> None:
    result = plan(256, cores=32, device="cuda")

    assert (result.bound.name, result.peers) == ("the card's memory", 2)


def test_work_is_cut_into_the_largest_batches_that_fit() -> None:
    assert fitted(on(64)) == on(64).work
    smaller = fitted(on(16, completion_tokens=512))
    assert smaller is not None
    assert (smaller.batch, smaller.accumulation) == (2, 4)
    assert fitted(on(6)) is None


def test_the_memory_limit_lies_above_the_peak_and_within_the_machine() -> None:
    for memory in (16, 32, 64):
        planned = on(memory, lora_rank=8)
        result = answer(planned)
        assert result.memory_limit_bytes > planned.peer_bytes
        assert result.memory_limit_bytes * result.peers <= planned.host.memory_bytes


def test_what_was_measured_comes_before_what_was_predicted() -> None:
    planned = on(64)

    assert answer(replace(planned, measured_bytes=20 * GIB)).peers < answer(planned).peers


def test_a_toy_is_bounded_by_the_cores() -> None:
    host = elsewhere("cpu", 24 * GIB, 2)
    result = answer(case(find_shape("tiny"), replace(WORK, device="cpu", checkpointing=False), host))

    assert (result.peers, result.threads, result.bound.name) == (2, 1, "cores")
