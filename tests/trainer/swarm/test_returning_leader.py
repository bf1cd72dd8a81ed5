"""A leader that comes back leads no swarm back to a round of an earlier time, whoever can be read then."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.swarm.test_publisher import FakeSwarm, FakeTelemetry
from trainer.protocol import HEARTBEATS_KEY, ROUND_AND_STAGE_KEY, RoundAndStage
from trainer.rounds import Plan, Position, RoundProgress, StageSum, keep_up, lead, to_record
from trainer.run import read_progress
from trainer.swarm.publisher import Publisher
from trainer.swarm.succession import STARTING_SECONDS

FIRST, SECOND = "Qm" + "a" * 44, "Qm" + "b" * 44
PLAN = Plan(steps_per_stage=4, stages_per_round=3)
OLD, NEW = RoundAndStage(4, 1), RoundAndStage(9, 2)


class Node(FakeSwarm):
    """A node of a signed swarm of two that may lead; the first one is configured to."""

    def __init__(self, *, signed: bool = True, leads: bool = True) -> None:
        super().__init__()
        self.leaders, self.is_signed, self.leads = [FIRST, SECOND], signed, leads

    def meet(self, other: "Node") -> None:
        """From now on both hold the same: of each record the one that was stored last, which is this node's."""
        beats = {**other.stored[HEARTBEATS_KEY], **self.stored[HEARTBEATS_KEY]}
        self.stored = other.stored = {**other.stored, **self.stored, HEARTBEATS_KEY: beats}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    for module in ("publisher", "outlet", "round_reader"):
        monkeypatch.setattr(f"trainer.swarm.{module}.time.monotonic", lambda: now[0])
    return now


def start(node: Node, folder: Path, peer_id: str = FIRST, *, at: RoundAndStage | None = OLD) -> Publisher:
    """A peer that was last at this place, or is new."""
    folder.mkdir(exist_ok=True)
    if at is not None:
        progress = RoundProgress(Position(*at, 2, 1.0), at.round - 1, sums={at: StageSum(2, 1.0)})
        (folder / "position.json").write_text(json.dumps(to_record(progress)))
    return Publisher(node, FakeTelemetry(), folder, peer_id, interval_seconds=0.0)


def flush(publisher: Publisher, clock: list[float]) -> None:
    clock[0] += 1.0
    publisher._flush()


def test_it_leads_once_it_read_the_swarms_round(tmp_path: Path, clock: list[float]) -> None:
    node = Node()
    returning = start(node, tmp_path)
    assert not returning.leads
    flush(returning, clock)
    assert returning._read_round() is None
    assert (returning.leads, returning.looks_for_others) == (False, True)

    node.stored[ROUND_AND_STAGE_KEY] = tuple(NEW)

    assert returning._read_round() == NEW
    assert (returning.leads, returning.looks_for_others) == (True, False)
    assert lead(read_progress(tmp_path), NEW, PLAN).position == Position(*NEW)


def test_a_heartbeat_names_the_round_that_no_announcement_does(tmp_path: Path, clock: list[float]) -> None:
    node = Node()
    node.stored[ROUND_AND_STAGE_KEY] = tuple(NEW)
    second = start(node, tmp_path / "second", SECOND)
    second._read_round()
    flush(second, clock)
    del node.stored[ROUND_AND_STAGE_KEY]

    returning = start(node, tmp_path / "first")
    flush(returning, clock)

    assert returning.leads
    assert returning._read_round() == NEW


def test_a_peer_that_hears_nobody_leads_when_all_others_are_gone_by_the_rules(
    tmp_path: Path, clock: list[float]
) -> None:
    returning = start(Node(), tmp_path)
    flush(returning, clock)
    assert not returning.leads
    clock[0] += STARTING_SECONDS
    flush(returning, clock)
    assert returning.leads
    assert returning._read_round() is None


@pytest.mark.parametrize("alone", [True, False], ids=["the only one that may lead", "new"])
def test_a_peer_that_can_be_behind_nobody_leads_at_once(tmp_path: Path, alone: bool) -> None:
    node = Node()
    if alone:
        node.leaders = [FIRST]
    assert start(node, tmp_path, at=OLD if alone else None).leads


def test_two_that_led_apart_go_on_in_the_further_round_when_they_meet(tmp_path: Path, clock: list[float]) -> None:
    ours, theirs = Node(), Node(leads=False)
    theirs.stored[ROUND_AND_STAGE_KEY] = tuple(OLD)
    second = start(theirs, tmp_path / "second", SECOND)
    second._read_round()
    clock[0] += 2 * STARTING_SECONDS
    flush(second, clock)
    assert second.leads
    second.announce(NEW, is_new=True)
    clock[0] += STARTING_SECONDS
    flush(second, clock)
    first = start(ours, tmp_path / "first")
    clock[0] += 2 * STARTING_SECONDS
    flush(first, clock)
    assert first.leads
    progress = lead(read_progress(tmp_path / "first"), first._read_round(), PLAN)
    first.announce(RoundAndStage(5, 0), is_new=True)
    flush(first, clock)

    # The older announcement is the newer record, and hides the other one.
    ours.meet(theirs)
    assert theirs.stored[ROUND_AND_STAGE_KEY] == (5, 0)
    assert second._read_round() == NEW
    flush(first, clock)
    first.announce(RoundAndStage(5, 0), is_new=False)
    assert first.furthest == NEW
    progress = keep_up(progress, first.furthest, PLAN)
    assert progress.position == Position(*NEW)
    first.announce(NEW, is_new=True)
    flush(first, clock)

    assert ours.stored[ROUND_AND_STAGE_KEY] == NEW
    flush(second, clock)
    assert not second.leads
    assert second._read_round() == NEW


def test_in_an_open_swarm_a_heartbeat_leads_nobody(tmp_path: Path, clock: list[float]) -> None:
    node = Node(signed=False)
    node.stored[HEARTBEATS_KEY] = {SECOND: (1, *NEW)}
    returning = start(node, tmp_path)
    flush(returning, clock)

    assert returning.leads
    assert returning.furthest is None
    assert returning._read_round() == OLD


@pytest.mark.parametrize("beat", [7, (7,), (7, 1), (7, -1, 0), (7, 1, 2, 3), "x", None, {}])
def test_a_malformed_heartbeat_is_a_sign_of_life_and_no_more(tmp_path: Path, clock: list[float], beat: Any) -> None:
    node = Node()
    node.stored[HEARTBEATS_KEY] = {SECOND: beat}
    returning = start(node, tmp_path)
    flush(returning, clock)

    assert returning.leads
    assert returning.furthest is None
