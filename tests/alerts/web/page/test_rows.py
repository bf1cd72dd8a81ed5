"""What the page shows of each peer and of the board."""

from typing import Any

import pytest

from alerts.web.page.rows import DAY_SECONDS, PeerRow, board_rows, peer_rows, span_of

NOW = 1_000_000.0
HEALTHY = {
    "peer": "a",
    "nickname": "quick amber fox",
    "state": "training",
    "memory_bytes": 2**30,
    "memory_limit_bytes": 2**32,
    "rank": 4,
}


def _row(alerts: list[dict[str, Any]] | None = None, curves: Any = None, **changes: Any) -> PeerRow:
    (row,) = peer_rows(["a"], [{**HEALTHY, **changes}], alerts or [], {"a": curves or {}}, NOW)
    return row


def _alert(severity: str, state: str = "firing") -> dict[str, Any]:
    return {"rule": "PeerStalled", "peer": "a", "severity": severity, "state": state}


@pytest.mark.parametrize(
    ("changes", "alerts", "state", "severity"),
    [
        ({}, [], "training", "good"),
        ({"state": "waiting"}, [], "waiting", "calm"),
        ({"state": "stopped"}, [], "stopped", "warn"),
        ({"state": "down"}, [], "down", "bad"),
        ({"state": "unreachable"}, [], "unreachable", "bad"),
        ({"state": "down"}, [_alert("warning")], "down", "bad"),
        ({}, [_alert("critical")], "training", "bad"),
        ({}, [_alert("warning")], "training", "warn"),
        ({}, [_alert("critical", "pending")], "training", "good"),
        ({"state": "unknown"}, [], "unknown", "none"),
    ],
)
def test_a_row_asks_for_attention_as_its_peer_needs_it(
    changes: dict[str, Any], alerts: list[dict[str, Any]], state: str, severity: str
) -> None:
    row = _row(alerts, **changes)
    assert (row.state, row.severity) == (state, severity)


def test_a_peer_that_was_not_read_yet_has_a_row_without_values() -> None:
    (row,) = peer_rows(["b"], [HEALTHY], [], {}, NOW)
    assert (row.peer, row.state, row.severity, row.nickname, row.memory_share) == ("b", "unknown", "none", "", None)
    assert set(row.values.values()) == {None}


def test_memory_is_a_share_of_the_limit_and_no_more_than_all_of_it() -> None:
    assert _row().memory_share == 0.25
    assert _row(memory_bytes=2**33).memory_share == 1.0
    assert _row(memory_limit_bytes=None).memory_share is None


def test_the_rank_is_compared_with_the_begin_of_its_curve() -> None:
    curve = [(NOW - 3600, 9.0), (NOW - 60, 5.0)]
    assert _row(curves={"rank": curve}).places_gained == 5
    assert _row(curves={"rank": curve}, rank=11).places_gained == -2
    assert _row(curves={"rank": curve}, rank=None).places_gained == 0
    assert _row().places_gained == 0


def test_curves_go_back_as_far_as_there_is_something_to_show() -> None:
    assert span_of({}, NOW) == 600.0
    assert span_of({"a": {"rank": [(NOW - 7200, 1.0)]}, "b": {"rank": []}}, NOW) == 7200.0
    assert span_of({"a": {"rank": [(NOW - 9 * DAY_SECONDS, 1.0)]}}, NOW) == DAY_SECONDS


def test_the_board_shows_its_head_and_our_peers_with_their_neighbours() -> None:
    leaders = [{"id": f"Qm{n}", "nickname": f"n{n}", "total": 1.0, "last": None} for n in range(100)]
    rows = board_rows(leaders, frozenset({"Qm1", "Qm50", "Qm99"}))
    places = [row.place if row else None for row in rows]
    assert places == [*range(1, 11), None, 50, 51, 52, None, 99, 100]
    assert [row.place for row in rows if row and row.is_ours] == [2, 51, 100]
    assert board_rows([], frozenset({"Qm1"})) == []


def test_strangers_whose_sums_nobody_can_verify_are_marked() -> None:
    leaders = [
        {"id": f"Qm{n}", "nickname": f"n{n}", "total": 1.0, "last": None, "is_unverified": n < 2} for n in range(3)
    ]
    assert [row and row.is_unverified for row in board_rows(leaders, frozenset({"Qm0"}))] == [False, True, False]
