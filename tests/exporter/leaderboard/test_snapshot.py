"""What is kept and sent over time stays bounded."""

import json

from exporter.identity.peer_name import WordLists, short_id
from exporter.leaderboard.board import BEGINNING_SECONDS, ESTABLISHED_SECONDS, Board
from exporter.leaderboard.names import Names, names_of
from exporter.leaderboard.records import Entry
from exporter.leaderboard.snapshot import (
    CUMULATIVE_POINTS,
    PEERS_WITH_HISTORY,
    REWARD_POINTS,
    History,
    Snapshot,
    find_id,
    render,
)
from trainer.protocol import RoundAndStage

NOW = 1_700_000_000.0
OURS = "Qm" + "z" * 44


def rendered(board: Board, history: History, now: float) -> Snapshot:
    return render(board, Names({OURS: "ours"}), history, place=None, gossip=[], polled_at=now, now=now)


def test_histories_keep_their_newest_points() -> None:
    board, history = Board(), History()
    for number in range(300):
        board.credit(RoundAndStage(0, 0), {OURS: Entry(float(number), NOW + number)}, NOW)
        served = rendered(board, history, NOW + number)
    [leader] = json.loads(served.cumulative)["leaders"]
    assert len(leader["scoreHistory"]) == CUMULATIVE_POINTS == 30
    assert leader["scoreHistory"][-1] == {"x": NOW + 299, "y": 299.0}
    [leader] = json.loads(served.history)["leaders"]
    assert len(leader["values"]) == REWARD_POINTS == 100


def test_a_crowd_that_comes_at_once_is_shown_unverified_and_not_established() -> None:
    board, history, other = Board(), History(), "Qm" + "x" * 44
    board.credit(RoundAndStage(0, 0), {OURS: Entry(1.0, NOW), other: Entry(2.0, NOW)}, NOW)
    late = NOW + 2 * BEGINNING_SECONDS
    crowd = {f"Qm{i:044d}".replace("0", "y"): Entry(1e6, late) for i in range(200)}
    board.credit(RoundAndStage(0, 0), crowd, late)

    served = rendered(board, history, late)
    verified = [one["id"] for one in json.loads(served.cumulative)["leaders"] if one["verified"]]
    assert verified == [OURS]
    page = served.peer_page(OURS)
    assert page is not None
    assert (page["rank"], page["total"], page["establishedRank"], page["establishedTotal"]) == (202, 202, 2, 2)
    page = rendered(board, history, late + ESTABLISHED_SECONDS).peer_page(OURS)
    assert page is not None
    assert (page["establishedRank"], page["establishedTotal"]) == (202, 202)


def test_a_value_that_stays_adds_no_point() -> None:
    board, history = Board(), History()
    board.credit(RoundAndStage(0, 0), {OURS: Entry(1.0, NOW)}, NOW)
    for number in range(5):
        served = rendered(board, history, NOW + number)
    assert json.loads(served.history)["leaders"][0]["values"] == [{"x": NOW, "y": 1.0}]


def test_only_the_head_of_the_board_and_our_own_have_a_history() -> None:
    board, history = Board(), History()
    crowd = {f"Qm{i:044d}".replace("0", "y"): Entry(5.0 + i, NOW) for i in range(300)}
    board.credit(RoundAndStage(0, 0), {**crowd, OURS: Entry(1.0, NOW)}, NOW)
    served = rendered(board, history, NOW)
    shown = [leader["id"] for leader in json.loads(served.history)["leaders"]]
    assert len(shown) == PEERS_WITH_HISTORY + 1
    assert shown[-1] == OURS
    assert len(json.loads(served.cumulative)["leaders"]) == 301


def test_a_stranger_is_called_by_a_short_form_of_its_id() -> None:
    assert short_id("Qm" + "a" * 38 + "b1C2d3") == "Qm…b1C2d3"
    assert short_id("12D3KooW" + "a" * 38 + "b1C2d3") == "12D3…b1C2d3"
    assert names_of(["no id", OURS], Names({OURS: "ours"})) == {OURS: "ours"}


def test_a_stranger_has_the_swarms_name_where_its_words_are_known() -> None:
    board, stranger = Board(), "Qm" + "a" * 44
    board.credit(RoundAndStage(0, 0), {OURS: Entry(1.0, NOW), stranger: Entry(2.0, NOW)}, NOW)
    names = Names({OURS: "ours"}, WordLists(("sly",), ("fox",)))
    served = render(board, names, History(), place=None, gossip=[], polled_at=NOW, now=NOW)
    assert [one["nickname"] for one in json.loads(served.cumulative)["leaders"]] == ["sly sly fox", "ours"]
    assert (find_id(served, "sly sly fox"), find_id(served, "ours")) == (stranger, OURS)
