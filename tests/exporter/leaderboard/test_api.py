"""The HTTP contract: exact shapes, bounded requests, and honest answers about stale data."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from exporter.leaderboard.api import MAX_BODY_BYTES, create_app
from exporter.leaderboard.board import Board
from exporter.leaderboard.measures import Measures
from exporter.leaderboard.names import Names
from exporter.leaderboard.records import Entry, Message
from exporter.leaderboard.snapshot import Gossip, History, Snapshot, render
from exporter.serving.host_names import scraped_names
from trainer.protocol import EXPIRATION_SECONDS, RoundAndStage

NOW = 1_700_000_000.0
A, B, C = ("Qm" + letter * 44 for letter in "abc")
PLACE = RoundAndStage(3, 1)

Get = Callable[..., httpx.Response]


def snapshot(polled_at: float | None = NOW) -> Snapshot:
    board, history = Board(), History()
    stamp = NOW + EXPIRATION_SECONDS
    board.credit(RoundAndStage(3, 0), {A: Entry(5.0, stamp - 9)}, NOW)
    board.credit(PLACE, {A: Entry(2.0, stamp - 2), B: Entry(7.0, stamp - 1)}, NOW)
    gossip = [Gossip(A, PLACE, Message("q" * 32, NOW, "<b>2+2?</b>", "4 </script>"))]
    return render(board, Names({A: "a_b <i>"}), history, place=PLACE, gossip=gossip, polled_at=polled_at, now=NOW)


def client(served: Snapshot, clock: float = NOW + 2) -> Get:
    app = create_app(lambda: served, Measures(), 300.0, scraped_names("127.0.0.1", ["board"]), clock=lambda: clock)

    def send(path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://board") as one:
                return await one.request("POST" if "content" in options else "GET", path, **options)

        return asyncio.run(ask())

    return send


@pytest.fixture
def get() -> Get:
    return client(snapshot())


def test_round_and_stage(get: Get) -> None:
    assert get("/api/round_and_stage").json() == {"round": 3, "stage": 1}


def test_the_stage_board(get: Get) -> None:
    assert get("/api/leaderboard").json() == {
        "leaders": [
            {"id": B, "nickname": "Qm…bbbbbb", "score": 7.0, "values": [], "verified": False},
            {"id": A, "nickname": "a_b <i>", "score": 2.0, "values": [], "verified": True},
        ],
        "total": 2,
    }


def test_the_cumulative_board(get: Get) -> None:
    both = {"recordedRound": 3, "recordedStage": 1, "cumulativeScore": 7.0, "scoreHistory": [{"x": NOW, "y": 7.0}]}
    assert get("/api/leaderboard-cumulative").json() == {
        "leaders": [
            {"id": B, "nickname": "Qm…bbbbbb", "lastScore": 7.0, "verified": False, **both},
            {"id": A, "nickname": "a_b <i>", "lastScore": 2.0, "verified": True, **both},
        ],
        "total": 2,
    }


def test_the_history_of_rewards(get: Get) -> None:
    assert get("/api/rewards-history").json() == {
        "leaders": [
            {"id": B, "nickname": "Qm…bbbbbb", "values": [{"x": NOW, "y": 7.0}]},
            {"id": A, "nickname": "a_b <i>", "values": [{"x": NOW, "y": 2.0}]},
        ]
    }


def test_one_peer(get: Get) -> None:
    assert get(f"/api/peers/{A}").json() == {
        "id": A,
        "nickname": "a_b <i>",
        "rank": 2,
        "total": 2,
        "establishedRank": 2,
        "establishedTotal": 2,
        "verified": True,
        "cumulative": 7.0,
        "stageReward": 2.0,
        "round": 3,
        "stage": 1,
        "lastSeen": NOW - 2,
    }


def test_gossip_carries_markup_as_text_of_a_json_page(get: Get) -> None:
    answer = get("/api/gossip")
    [message] = answer.json()["messages"]
    assert (message["node"], message["nodeId"]) == ("a_b <i>", A)
    assert message["message"] == "a_b <i>: <b>2+2?</b> → 4 </script>"
    assert len(message["id"]) == 32
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_names_and_ids(get: Get) -> None:
    assert get("/api/name-to-id", params={"name": "a_b <i>"}).json() == {"id": A}
    assert get("/api/name-to-id", params={"name": "Qm…bbbbbb"}).json() == {"id": B}
    assert get("/api/name-to-id", params={"name": "nobody"}).json() == {"id": None}
    assert get("/api/name-to-id", params={"name": "x" * 5000}).json() == {"id": None}
    answer = get("/api/id-to-name", content=json.dumps([A, C, "<script>"]))
    assert answer.json() == {A: "a_b <i>", C: "Qm…cccccc"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(json.dumps([A] * 1000), 200, id="as many as allowed"),
        pytest.param(json.dumps([A] * 1001), 422, id="one too many"),
        pytest.param(" " * (MAX_BODY_BYTES + 1), 413, id="too large"),
        pytest.param("[" * 50_000, 422, id="deeply nested"),
        pytest.param("{}", 422, id="no list"),
        pytest.param("[1]", 422, id="no text"),
        pytest.param("nonsense", 422, id="no JSON"),
        pytest.param(b"\xff\xfe", 422, id="no text encoding"),
        pytest.param("", 422, id="nothing"),
    ],
)
def test_a_request_for_names_is_bounded(get: Get, body: str | bytes, status: int) -> None:
    answer = get("/api/id-to-name", content=body)
    assert answer.status_code == status
    assert status == 200 or "detail" in answer.json()


@pytest.mark.parametrize("peer_id", [C, "x", "%00", "<script>", "a" * 5000, "%F0%9F%98%80", "%FF"])
def test_an_unknown_peer_is_not_found(get: Get, peer_id: str) -> None:
    answer = get(f"/api/peers/{peer_id}")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "peer not on the board"}


def test_a_path_that_is_not_served_is_not_found(get: Get) -> None:
    assert get("/api/nothing").status_code == 404
    assert get("/docs").status_code == 404


def test_health_reports_the_age_of_the_last_poll(get: Get) -> None:
    assert get("/api/healthz").json() == {"message": "OK", "lastPolled": 2.0}


def test_a_swarm_that_cannot_be_read_is_said_at_once_and_held_against_the_board_later() -> None:
    failing = replace(snapshot(), problem="the DHT did not answer within 15 s")
    get, later = client(failing), client(failing, clock=NOW + 301)
    problem = "the DHT did not answer within 15 s"
    assert get("/api/healthz").json() == {"message": "OK", "lastPolled": 2.0, "problem": problem}
    assert get(f"/api/peers/{A}").status_code == 200
    assert later(f"/api/peers/{A}").json() == {"detail": f"the swarm was last read 301 s ago: {problem}"}
    never = client(Snapshot(problem="no initial peer accepts connections yet"))
    assert never("/api/healthz").json()["detail"].endswith("not been read yet: no initial peer accepts connections yet")


def test_before_the_first_poll_nothing_is_claimed() -> None:
    get = client(Snapshot())
    assert get("/api/healthz").status_code == 500
    assert get("/api/healthz").json() == {"detail": "the swarm has not been read yet"}
    assert get("/api/round_and_stage").json() == {"round": -1, "stage": -1}
    assert get("/api/leaderboard").json() == {"leaders": [], "total": 0}
    assert get(f"/api/peers/{A}").status_code == 503


def test_a_stored_board_is_not_served_as_the_swarms_state_until_the_first_poll() -> None:
    get = client(snapshot(polled_at=None))
    assert get(f"/api/peers/{A}").status_code == 503
    assert get("/api/round_and_stage").json() == {"round": -1, "stage": -1}
    assert get("/api/leaderboard-cumulative").json()["total"] == 2


def test_a_stale_board_is_not_served_as_its_state_either() -> None:
    get = client(snapshot(), clock=NOW + 301)
    assert get("/api/healthz").status_code == 500
    assert get(f"/api/peers/{A}").json() == {"detail": "the swarm was last read 301 s ago"}
    assert get(f"/api/peers/{A}").status_code == 503


def test_an_empty_board_has_no_ranks() -> None:
    empty = render(Board(), Names(), History(), place=PLACE, gossip=[], polled_at=NOW, now=NOW)
    get = client(empty)
    assert get(f"/api/peers/{A}").status_code == 503
    assert get(f"/api/peers/{A}").json() == {"detail": "the board is empty"}


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:8700", 200), ("evil.example", 421), ("[zz]", 400), ("a" * 10_000, 400)]
)
def test_a_foreign_or_malformed_host_reads_nothing(get: Get, host: str, status: int) -> None:
    assert get("/api/leaderboard", headers={"Host": host}).status_code == status
