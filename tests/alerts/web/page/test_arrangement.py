"""The order of the overview's peers, and which of them are shown."""

import pytest

from alerts.web.live_page import LivePage
from alerts.web.page.arrangement import LEAST_FILTERED, Arrangement, arrange, read_arrangement
from alerts.web.page.render import Content, Renderer
from alerts.web.page.rows import peer_rows

PEERS = [
    {"peer": "Cedar", "state": "training", "rank": 3, "memory_bytes": 1, "memory_limit_bytes": 4},
    {"peer": "amber", "state": "down", "rank": None, "nickname": "sly fox"},
    {"peer": "birch", "state": "training", "rank": 1, "memory_bytes": 3, "memory_limit_bytes": 4},
]
ALERT = {"peer": "birch", "rule": "RankDrop", "severity": "warning", "state": "firing"}
MACHINES = {"Cedar": "rig", "amber": "attic", "birch": "rig"}
ROWS = peer_rows([peer["peer"] for peer in PEERS], PEERS, [ALERT], {}, 1000.0, MACHINES)


def names(arrangement, rows=ROWS):
    return [row.peer for row, is_shown in arrange(rows, arrangement, {"down": "停机"}) if is_shown]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", ["Cedar", "amber", "birch"]),
        ("unknown", ["Cedar", "amber", "birch"]),
        ("peer", ["amber", "birch", "Cedar"]),
        ("-peer", ["Cedar", "birch", "amber"]),
        ("machine", ["amber", "Cedar", "birch"]),
        ("state", ["amber", "birch", "Cedar"]),
        ("rank", ["birch", "Cedar", "amber"]),
        ("-rank", ["Cedar", "birch", "amber"]),
        ("-memory", ["birch", "Cedar", "amber"]),
        ("reward", ["Cedar", "amber", "birch"]),
    ],
)
def test_rows_are_sorted_and_what_was_not_measured_comes_last(sort, order):
    assert names(read_arrangement({"sort": sort})) == order


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CED", ["Cedar"]),
        ("fox", ["amber"]),
        ("rig rank", ["birch"]),
        ("停机", ["amber"]),
        ("zebra", []),
        ("y" * 999, []),
    ],
)
def test_a_filter_finds_names_machines_states_and_alerts(text, found):
    assert names(read_arrangement({"peers": text})) == found


def test_a_second_look_at_a_column_turns_it_round():
    first = Arrangement(text="a&b").toggled("rank")
    assert (first.query, first.toggled("rank").query) == ("sort=rank&peers=a%26b", "sort=-rank&peers=a%26b")
    assert first.toggled("memory").query == "sort=-memory&peers=a%26b"
    assert Arrangement().query == ""


def make_page(rows, arrangement=None, **changes):
    content = Content(
        fleet="f", now=1000.0, evaluated_at=999.0, is_healthy=True, stale_after=60.0, peers=rows, **changes
    )
    live = LivePage(Renderer("en", None), lambda: content)
    return live.page(arrangement) if arrangement else live.page()


def test_the_page_is_arranged_without_scripts():
    page = make_page(ROWS, read_arrangement({"sort": "-rank", "peers": "rig"}))
    assert [page.index(f'id="peer-{index}"') for index in (0, 2, 1)] == sorted(
        page.index(f'id="peer-{index}"') for index in range(3)
    )
    assert page.count("<tr hidden ") == 1
    assert '<tr hidden id="peer-1"' in page
    assert 'aria-sort="descending"><a href="/?sort=rank&amp;peers=rig#peers-heading">Rank</a>' in page
    assert 'name="peers" value="rig"' in page


def test_a_filter_is_offered_where_there_are_many_and_a_machine_where_there_are_two():
    alone = peer_rows(["a"], [], [], {}, 1000.0, {"a": "rig"})
    many = peer_rows([f"p{n}" for n in range(LEAST_FILTERED)], [], [], {}, 1000.0)
    assert 'id="filter"' not in make_page(alone)
    assert "Machine" not in make_page(alone)
    assert 'id="filter"' in make_page(many)
    assert make_page(ROWS).count('data-label="Machine">rig<') == 2
    elsewhere = peer_rows(["a", "b"], [{"peer": "b", "pushed": True}], [], {}, 1000.0, {"a": "rig", "b": "rack-3"})
    assert 'data-label="Machine">rack-3 (pushed)<' in make_page(elsewhere)


def test_who_has_no_route_is_told_to_add_one():
    assert "Alerts are shown here only: add a route" in make_page(ROWS)
    route = type("Route", (), {"name": "r", "pending": 0, "held": 0, "expired": 0})()
    route.health = type("Health", (), {"failures": 0, "delivered_at": 0.0})()
    assert "add a route" not in make_page(ROWS, routes=[route])
