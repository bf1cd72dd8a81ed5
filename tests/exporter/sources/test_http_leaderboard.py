"""The leaderboard source, against servers that answer as rl-swarm 0.4 does, and against our own service."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from exporter.http_client import HttpClient
from exporter.leaderboard.api import create_app
from exporter.leaderboard.board import Board
from exporter.leaderboard.last_values import LastValues
from exporter.leaderboard.measures import Measures
from exporter.leaderboard.names import Names
from exporter.leaderboard.records import Entry
from exporter.leaderboard.snapshot import History, Snapshot, render
from exporter.serving.host_names import scraped_names
from exporter.sources import SourceError, Standing, check_options
from exporter.sources.http_leaderboard import SHORT_READS, Source, read_age
from tests.exporter.sources.json_server import JsonServer, Raw
from trainer.protocol import EXPIRATION_SECONDS, RoundAndStage

NOW = 1_790_000_000.0
ALFA, BRAVO, CHARLIE = ("Qm" + letter * 44 for letter in "abc")


def row(peer_id: str, score: float, **others: Any) -> dict[str, Any]:
    return {
        "id": peer_id,
        "nickname": "meek soaring vulture",
        "recordedRound": 7,
        "recordedStage": 1,
        "cumulativeScore": 40.0 + score,
        "lastScore": score,
        "scoreHistory": [{"x": NOW, "y": score}],
        **others,
    }


def serve(server: JsonServer, *rows: dict[str, Any]) -> None:
    server.answers |= {
        "/api/healthz": {"message": "OK", "lastPolled": 4.2},
        "/api/round_and_stage": {"round": 7, "stage": 1},
        "/api/leaderboard-cumulative": {"leaders": rows, "total": len(rows)},
    }


@pytest.fixture
def board(server: JsonServer) -> JsonServer:
    serve(server, row(BRAVO, 5.0), row(ALFA, 2.0))
    return server


def read_failure(server: JsonServer, source: Source | None = None, now: float = NOW) -> str:
    with pytest.raises(SourceError) as caught:
        (source or Source(server.url)).read([ALFA], now)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(server.url, "URL")


def test_rank_is_the_place_on_the_board_and_the_sum_is_not_invented(board: JsonServer) -> None:
    """As the 0.4 server overwrites its cumulative score by the stage's."""
    (standing,) = Source(board.url).read([ALFA], NOW)

    assert standing == Standing(
        ALFA,
        NOW,
        is_listed=True,
        name="meek soaring vulture",
        rank=2,
        ranked_peers=2,
        stage_reward=2.0,
        round=7,
        stage=1,
    )


def test_a_peer_that_is_not_on_the_board_has_no_rank(board: JsonServer) -> None:
    (standing,) = Source(board.url).read([CHARLIE], NOW)

    assert (standing.is_listed, standing.rank, standing.ranked_peers, standing.stage_reward) == (False, None, 2, None)


@pytest.mark.parametrize("path", ["/api/healthz", "/api/round_and_stage", "/api/leaderboard-cumulative"])
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            Raw(b"<!doctype html><script>alert(1)</script>"),
            "URL{path}: is a web page, not JSON; the service has no",
        ),
        (Raw(b"{", kind="application/json"), "URL{path}: is not JSON"),
        (Raw(b"[" * 100_000, kind="application/json"), "URL{path}: is not JSON"),
        (Raw(b"{}", kind="application/json", status=500), "URL{path}: answers with status 500"),
        (Raw(b"", status=302), "URL{path}: answers with status 302"),
        (Raw(b" " * (1 << 20), kind="application/json", times=50), "URL{path}: too slow or too large"),
    ],
)
def test_what_is_no_answer_is_a_failed_read(board: JsonServer, path: str, answer: Raw, problem: str) -> None:
    board.answers[path] = answer

    assert read_failure(board).startswith(problem.format(path=path))


@pytest.mark.parametrize(
    ("path", "answer", "problem"),
    [
        ("/api/healthz", {"message": "OK", "lastPolled": 301}, "URL: the server last read its swarm 301 s ago"),
        ("/api/healthz", {"message": "OK", "lastPolled": "PT6M1.5S"}, "URL: the server last read its swarm 362 s ago"),
        ("/api/round_and_stage", {"round": -1, "stage": -1}, "URL: the server has not read its swarm yet"),
        ("/api/round_and_stage", [7, 1], "URL: the server has not read its swarm yet"),
        ("/api/leaderboard-cumulative", {"leaders": [], "total": 0}, "URL: the board is empty"),
        ("/api/leaderboard-cumulative", {"leaders": None}, "URL: its answer is not a leaderboard"),
        ("/api/leaderboard-cumulative", {"leaders": ["a"]}, "URL: its answer is not a leaderboard"),
        ("/api/leaderboard-cumulative", "leaders", "URL: its answer is not a leaderboard"),
    ],
)
def test_an_answer_without_the_swarm_is_a_failed_read(
    board: JsonServer, path: str, answer: object, problem: str
) -> None:
    board.answers[path] = answer

    assert read_failure(board) == problem


def test_a_password_in_the_url_is_not_repeated(board: JsonServer) -> None:
    source = Source(board.url.replace("//", "//me:secret@"))
    for path, answer in (
        ("/api/healthz", Raw(b"<html>")),
        ("/api/healthz", {"lastPolled": 900}),
        ("/api/healthz", {"message": "OK"}),
    ):
        board.answers |= {path: answer, "/api/leaderboard-cumulative": {"leaders": []}}
        assert "secret" not in read_failure(board, source)


def test_without_peers_only_the_health_is_read(board: JsonServer) -> None:
    assert Source(board.url).read(["no id"], NOW) == []
    assert board.asked == ["/api/healthz"]


def test_a_server_that_sends_slowly_is_a_failed_read(board: JsonServer) -> None:
    board.answers["/api/leaderboard-cumulative"] = Raw(b" ", kind="application/json", times=40, pause_seconds=0.05)
    source = Source(board.url, client=HttpClient(timeout_seconds=1.0, max_bytes=1 << 16))

    assert "leaderboard-cumulative: " in read_failure(board, source)


def test_a_board_that_does_not_change_is_old_although_the_health_is_well(board: JsonServer) -> None:
    source = Source(board.url, stale_after_seconds=1800)
    for minutes in range(0, 31, 10):
        source.read([ALFA], NOW + 60 * minutes)

    assert read_failure(board, source, NOW + 1860) == "URL: the board has not changed for 31 min"
    serve(board, row(BRAVO, 5.0), row(ALFA, 2.5))
    assert source.read([ALFA], NOW + 1920)


def test_a_board_that_lost_half_of_its_peers_is_believed_when_it_stays_so(server: JsonServer) -> None:
    crowd = [row(f"Qm{number:044d}".replace("0", "z"), 9.0) for number in range(20)]
    source = Source(server.url)
    serve(server, *crowd, row(ALFA, 1.0))
    assert source.read([ALFA], NOW)[0].rank == 21
    serve(server, *crowd[:3])

    for _ in range(SHORT_READS):
        assert read_failure(server, source) == "URL: the board has only 3 peers, 21 before"
    assert source.read([ALFA], NOW)[0].is_listed is False


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a<b", "&amp;", "x" * 65, "", "a\nb", "‮ab", 7, None, ["a"], "\u0000"]
)
def test_markup_is_no_name(board: JsonServer, name: object) -> None:
    serve(board, row(ALFA, 2.0, nickname=name))

    (standing,) = Source(board.url).read([ALFA], NOW)

    assert (standing.name, standing.rank) == (None, 1)


@pytest.mark.parametrize("score", ["2", None, True, [2], 1e300])
def test_what_is_no_number_is_absent(board: JsonServer, score: object) -> None:
    serve(board, row(ALFA, 2.0, lastScore=score))

    assert Source(board.url).read([ALFA], NOW)[0].stage_reward is None


def test_a_negative_score_is_one(board: JsonServer) -> None:
    serve(board, row(ALFA, -2.5))

    assert Source(board.url).read([ALFA], NOW)[0].stage_reward == -2.5


def test_a_peer_that_stands_there_twice_has_its_first_place(board: JsonServer) -> None:
    serve(board, row(BRAVO, 5.0), row(ALFA, 4.0), row(ALFA, 3.0), {"id": ["x"]})

    assert [standing.rank for standing in Source(board.url).read([ALFA, ALFA], NOW)] == [2]


def test_a_failed_read_loses_no_rank(board: JsonServer) -> None:
    values = LastValues(Source(board.url))
    good = values.read([ALFA], NOW)
    for number, answer in enumerate(({"leaders": [], "total": 0}, Raw(b"<html>"), Raw(b"", status=500)), 1):
        board.answers["/api/leaderboard-cumulative"] = answer

        report = values.read([ALFA], NOW + 30 * number)

        assert (report.is_up, report.success_at, report.standings) == (False, NOW, good.standings)
        assert report.standings[0].rank == 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(4, 4.0), (4.5, 4.5), ("PT4.5S", 4.5), ("P1DT2H3M4S", 93784.0), ("soon", None), (None, None), (True, None)],
)
def test_the_age_of_the_last_poll(value: object, seconds: float | None) -> None:
    assert read_age(value) == seconds


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "url: is missing; name it, such as http://127.0.0.1:8000"),
        ({"url": "board:8000"}, "url: is not a URL; write one such as http://127.0.0.1:8000"),
        ({"url": "http://board/?a=1"}, "url: ends in ? or #"),
        ({"url": "http://board", "interval_seconds": 1}, "interval_seconds: '1' is not a number from 10 to 86400"),
        ({"url": "http://board", "stale_after_seconds": "1h"}, "stale_after_seconds: '1h' is not a number from 60"),
        ({"url": "http://board", "port": 1}, "port: unknown option; the options are url, interval_seconds"),
    ],
)
def test_a_wrong_option_is_named_in_one_line(options: dict[str, object], problem: str) -> None:
    found = check_options("http_leaderboard", options)

    assert found is not None
    assert found.startswith(f"http_leaderboard: {problem}")
    assert "\n" not in found


class OurService:
    """Our leaderboard service on loopback, whose board a test replaces."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        app = create_app(
            lambda: self.snapshot, Measures(), 300.0, scraped_names("127.0.0.1", []), clock=lambda: NOW + 2
        )
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()

    def show(self, *stages: dict[str, float]) -> None:
        board = Board()
        for stage, rewards in enumerate(stages):
            entries = {peer_id: Entry(reward, NOW + EXPIRATION_SECONDS - 9) for peer_id, reward in rewards.items()}
            board.credit(RoundAndStage(3, stage), entries, NOW)
        place = RoundAndStage(3, len(stages) - 1)
        self.snapshot = render(board, Names({ALFA: "alfa"}), History(), place=place, gossip=[], polled_at=NOW, now=NOW)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def ours() -> Iterator[OurService]:
    service = OurService()
    yield service
    service.close()


def test_our_own_service_tells_the_sum_over_all_stages(ours: OurService) -> None:
    ours.show({ALFA: 5.0, BRAVO: 1.0}, {ALFA: 2.0})

    alfa, charlie = Source(ours.url).read([ALFA, CHARLIE], NOW)

    assert alfa == Standing(
        ALFA,
        NOW,
        is_listed=True,
        name="alfa",
        rank=1,
        ranked_peers=2,
        reward=7.0,
        stage_reward=2.0,
        established_rank=1,
        established_peers=2,
        round=3,
        stage=1,
    )
    assert (charlie.is_listed, charlie.rank) == (False, None)


def test_our_own_service_before_its_first_poll_is_a_failed_read(ours: OurService) -> None:
    with pytest.raises(SourceError, match=r"/api/healthz: answers with status 500$"):
        Source(ours.url).read([ALFA], NOW)


@pytest.mark.parametrize("spoil", [lambda page: page | {"rank": 9}, lambda page: page | {"id": BRAVO}, lambda page: []])
def test_an_answer_about_a_peer_is_checked(server: JsonServer, spoil: Callable[[dict[str, Any]], Any]) -> None:
    page = {
        "id": ALFA,
        "nickname": "a",
        "rank": 1,
        "total": 2,
        "cumulative": 3.0,
        "stageReward": 1.0,
        "round": 1,
        "stage": 0,
    }
    server.answers = {"/api/healthz": {"message": "OK"}, f"/api/peers/{ALFA}": page}
    source = Source(server.url)
    assert source.read([ALFA], NOW)[0].reward == 3.0
    server.answers[f"/api/peers/{ALFA}"] = spoil(page)

    assert read_failure(server, source) == "URL: its answer is not a peer's rank"
