"""RankDrop: places lost, by polls that agree; a board that cannot be trusted gives no verdict."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from alerts.rules import Verdict, View
from alerts.rules.rank_drop import MAX_RUNS, Settings, judge, remember
from tests.alerts.rules.pages import NOW, silent, view

# Three polls, 15 s apart, are 30 s.
SETTINGS = Settings.model_validate({"held_for": "30s"})
Poll = int | dict[str, Any]


def _see(views: Iterable[View], settings: Settings = SETTINGS) -> tuple[list[str], Verdict, dict[str, Any]]:
    """The condition after each view, the last verdict, and what is remembered."""
    memory: dict[str, Any] = {}
    conditions, verdict = [], None
    for one in views:
        memory = dict(remember(one._replace(memory=memory), settings))
        verdict = judge(one._replace(memory=memory), settings)
        conditions.append(verdict.condition)
    assert verdict is not None
    return conditions, verdict, memory


def _views(*polls: Poll, every: float = 15.0, ranked: int = 10) -> list[View]:
    changes = [{"rank": poll} if isinstance(poll, int) else poll for poll in polls]
    return [
        view(now=NOW + index * every, **{"ranked": ranked, "cumulative": 100.0 + index, **one})
        for index, one in enumerate(changes)
    ]


def test_a_drop_counts_once_enough_polls_agree() -> None:
    conditions, verdict, _ = _see(_views(2, 2, 2, 5, 6, 5))
    assert conditions == ["unknown", "unknown", "inactive", "unknown", "unknown", "active"]
    assert verdict.summary == "Rank 5 of 10, 3 below rank 2 within 6 h; limit 3."


def test_a_crowd_of_strangers_costs_no_rank_among_those_that_have_been_there() -> None:
    ranks = {"established": 1, "established_peers": 2}
    before = [{**ranks, "rank": 1, "ranked": 2} for _ in range(4)]
    flooded = [{**ranks, "rank": 201, "ranked": 202} for _ in range(4)]
    overtaken = [{"established": 2, "established_peers": 2, "rank": 202, "ranked": 202} for _ in range(4)]
    assert "active" not in _see(_views(*before, *flooded))[0]
    assert _see(_views(*before, *flooded, *overtaken))[0][-1] == "active"


def test_a_smaller_drop_does_not_count() -> None:
    assert "active" not in _see(_views(2, 2, 2, 4, 4, 4, 4))[0]


def test_a_flicker_does_not_count_and_a_lucky_moment_sets_no_baseline() -> None:
    assert "active" not in _see(_views(5, 5, 5, 9, 9, 5, 9, 9, 5))[0]
    assert "active" not in _see(_views(5, 5, 1, 1, 5, 5, 5, 5))[0]


def test_the_ranks_of_a_board_that_is_still_filling_are_not_lost() -> None:
    settings = Settings.model_validate({"held_for": "10m"})
    assert "active" not in _see(_views(*[1] * 20, *[5] * 40), settings)[0]
    assert _see(_views(*[1] * 41, *[5] * 3), settings)[0][-1] == "active"


def test_two_peers_that_pass_each_other_all_the_time_raise_no_alert() -> None:
    settings = Settings.model_validate({"held_for": "10m"})
    assert "active" not in _see(_views(*[1, 1, 1, 1, 2, 2, 2, 2] * 40, ranked=2), settings)[0]


def test_it_resolves_when_the_rank_is_regained() -> None:
    conditions, verdict, _ = _see(_views(2, 2, 2, 6, 6, 6, 3, 3, 3))
    assert conditions[5:] == ["active", "unknown", "unknown", "inactive"]
    assert verdict.summary == "Rank 3 of 10; best rank held within 6 h: 2."


def test_it_resolves_when_the_better_rank_is_too_old() -> None:
    settings = Settings.model_validate({"window": "1h", "held_for": "30s"})
    conditions, _, _ = _see(_views(2, 2, 2, *[6] * 30, every=200), settings)
    assert conditions[5] == "active"
    assert conditions[-1] == "inactive"


def test_a_board_that_could_not_be_read_or_is_short_is_no_poll() -> None:
    failed = {"rank": 9, "source_up": 0}
    short = {"rank": 1, "ranked": 1}
    shrunk = {"rank": 4, "ranked": 4}
    empty = {"rank": None, "ranked": None}
    for bad in (failed, short, shrunk, empty):
        assert set(_see(_views(1, 1, 1, *[bad] * 5))[0][3:]) == {"inactive"}
        assert "active" not in _see(_views(1, 1, 1, 9, 9, *[bad] * 5))[0]


def test_a_poll_that_was_seen_before_does_not_count_again() -> None:
    views = _views(1, 1, 1, *[{"rank": 9, "polled": NOW + 45}] * 5)
    assert "active" not in _see(views)[0]


def test_a_board_that_was_restarted_is_compared_with_nothing_before_it() -> None:
    restarted = [{"rank": 9, "cumulative": 1.0 + index} for index in range(5)]
    conditions, _, _ = _see(_views(1, 1, 1, *restarted))
    assert conditions[3:] == ["unknown", "unknown", "inactive", "inactive", "inactive"]


def test_in_a_small_swarm_the_last_place_is_a_drop() -> None:
    assert _see(_views(1, 1, 1, 2, 2, 2, ranked=2))[0][-1] == "active"
    assert _see(_views(1, 1, 1, 2, 2, 2, ranked=3))[0][-1] == "inactive"
    assert _see(_views(1, 1, 1, 3, 3, 3, ranked=3))[0][-1] == "active"


def test_a_silent_sidecar_gives_no_verdict_and_leaves_no_memory() -> None:
    _, _, before = _see(_views(1, 1, 1))
    one = silent(99)._replace(memory=before)
    assert judge(one, SETTINGS).condition == "unknown"
    after = view(now=NOW + 99, ranked=10, rank=1, cumulative=103, memory=dict(remember(one, SETTINGS)))
    assert judge(after, SETTINGS).condition == "inactive"


def test_the_memory_stays_bounded() -> None:
    settings = Settings.model_validate({"window": "7d", "held_for": "30s"})
    sizes = []
    for polls in (2 * MAX_RUNS, 3 * MAX_RUNS):
        _, _, memory = _see(_views(*[1 + index % 7 for index in range(polls)]), settings)
        sizes.append(len(json.dumps(memory)))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)
    _, _, memory = _see(_views(*[1] * 1000), settings)
    assert len(json.dumps(memory)) < 300
