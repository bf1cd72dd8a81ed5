"""Rank and reward come from the leaderboard's answer, and only from a valid one."""

import contextlib
import http.server
import json
import threading

import pytest

from exporter.collectors import CollectError
from exporter.collectors.standing import Collector
from exporter.config import SidecarConfig
from exporter.identity.own_peer import OwnPeer
from exporter.textfile_reader import TextfileReader

ANSWER = {
    "id": "Qm",
    "nickname": "quick fox",
    "rank": 2,
    "total": 3,
    "cumulative": 12.5,
    "stageReward": 1.5,
    "round": 7,
    "stage": 1,
    "lastSeen": 1.0,
}


class Board:
    """A leaderboard that answers what a test sets."""

    def __init__(self):
        self.status, self.content_type, self.body, self.paths = 200, "application/json", json.dumps(ANSWER), []
        board = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                board.paths.append(self.path)
                body = board.body.encode()
                self.send_response(board.status)
                self.send_header("Content-Type", board.content_type)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, status=200, content_type="application/json", **body):
        self.status, self.content_type, self.body = status, content_type, json.dumps(body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def board():
    board = Board()
    yield board
    board.close()


def write_trainer(run_dir, peer_id="Qm", round_number=5):
    (run_dir / "trainer.prom").write_text(
        f'trainer_info{{peer_id="{peer_id}",nickname="n",model="m",device="cpu"}} 1\nswarm_round {round_number}\n'
    )


def make(run_dir, board):
    return Collector(OwnPeer(TextfileReader(run_dir)), board.url)


def values(samples):
    return {sample.name: sample.value for sample in samples}


def failed_values(collector, now):
    with pytest.raises(CollectError) as failure:
        collector.collect(now)
    return str(failure.value), values(failure.value.samples)


def test_the_rank_of_this_peer_is_read(board, tmp_path):
    write_trainer(tmp_path)
    assert values(make(tmp_path, board).collect(1000.0)) == {
        "swarm_source_up": 1.0,
        "swarm_source_success_timestamp_seconds": 1000.0,
        "swarm_rank": 2.0,
        "swarm_ranked_peers": 3.0,
        "swarm_reward_cumulative": 12.5,
        "swarm_reward_stage": 1.5,
        "swarm_round_lag": 2.0,
    }
    assert board.paths == ["/api/peers/Qm"]


def test_a_peer_ahead_of_the_board_does_not_lag(board, tmp_path):
    write_trainer(tmp_path, round_number=9)
    assert values(make(tmp_path, board).collect(0.0))["swarm_round_lag"] == 0.0


def test_a_strange_peer_id_stays_inside_the_path(board, tmp_path):
    write_trainer(tmp_path, peer_id="../../x?y#z")
    board.answer(**(ANSWER | {"id": "../../x?y#z"}))
    make(tmp_path, board).collect(0.0)
    assert board.paths == ["/api/peers/..%2F..%2Fx%3Fy%23z"]


def test_the_last_values_stay_when_a_read_fails(board, tmp_path):
    write_trainer(tmp_path)
    collector = make(tmp_path, board)
    before = values(collector.collect(1000.0))
    board.answer(503, detail="the board is empty")
    reason, after = failed_values(collector, 1005.0)
    assert "503" in reason
    assert after == before | {"swarm_source_up": 0.0}


def test_a_leaderboard_that_is_gone_is_a_failed_read(board, tmp_path):
    write_trainer(tmp_path)
    collector = make(tmp_path, board)
    collector.collect(1000.0)
    board.close()
    reason, after = failed_values(collector, 1005.0)
    assert "Connection refused" in reason
    assert after["swarm_rank"] == 2.0


def test_a_peer_that_the_board_does_not_know_has_no_rank(board, tmp_path):
    write_trainer(tmp_path)
    collector = make(tmp_path, board)
    collector.collect(1000.0)
    board.answer(404, detail="unknown peer")
    assert values(collector.collect(1005.0)) == {
        "swarm_source_up": 1.0,
        "swarm_source_success_timestamp_seconds": 1005.0,
    }


def test_another_identity_does_not_inherit_the_rank(board, tmp_path):
    write_trainer(tmp_path)
    collector = make(tmp_path, board)
    collector.collect(1000.0)
    write_trainer(tmp_path, peer_id="QmOther")
    board.answer(503)
    assert "swarm_rank" not in failed_values(collector, 1005.0)[1]


def test_without_a_peer_id_the_leaderboard_is_not_queried(board, tmp_path):
    assert "peer id" in failed_values(make(tmp_path, board), 0.0)[0]
    assert board.paths == []


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 500])
def test_another_status_is_a_failed_read_and_no_redirect_is_followed(board, tmp_path, status):
    write_trainer(tmp_path)
    board.answer(status, **ANSWER)
    assert str(status) in failed_values(make(tmp_path, board), 0.0)[0]
    assert len(board.paths) == 1


def test_a_page_of_html_is_a_failed_read(board, tmp_path):
    write_trainer(tmp_path)
    board.content_type, board.body = "text/html", "<html>"
    assert "is a web page" in failed_values(make(tmp_path, board), 0.0)[0]
    board.status = 404
    failed_values(make(tmp_path, board), 0.0)


def test_a_huge_answer_is_a_failed_read(board, tmp_path):
    write_trainer(tmp_path)
    board.body = json.dumps(ANSWER | {"nickname": "x" * 10_000_000})
    assert "too large" in failed_values(make(tmp_path, board), 0.0)[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rank": 0},
        {"rank": 1.5},
        {"rank": True},
        {"rank": "1"},
        {"rank": None},
        {"rank": 4},
        {"rank": 10**400},
        {"total": 0},
        {"cumulative": float("nan")},
        {"cumulative": float("inf")},
        {"cumulative": 10**400},
        {"cumulative": "12"},
        {"id": "QmOther"},
    ],
)
def test_an_answer_that_cannot_be_true_is_refused(board, tmp_path, wrong):
    write_trainer(tmp_path)
    board.answer(**(ANSWER | wrong))
    reason, shown = failed_values(make(tmp_path, board), 0.0)
    assert "its answer is not a peer's rank" in reason
    assert shown == {"swarm_source_up": 0.0}


@pytest.mark.parametrize("wrong", [{"round": -1}, {"round": 1e3}, {"round": None}])
def test_without_the_swarms_round_there_is_no_lag(board, tmp_path, wrong):
    write_trainer(tmp_path)
    board.answer(**(ANSWER | wrong))
    shown = values(make(tmp_path, board).collect(0.0))
    assert shown["swarm_rank"] == 2.0
    assert "swarm_round_lag" not in shown


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", "[" * 60_000, '"x"'])
def test_another_shape_is_refused(board, tmp_path, body):
    write_trainer(tmp_path)
    board.body = body
    assert "not" in failed_values(make(tmp_path, board), 0.0)[0]


def test_without_a_leaderboard_there_is_no_such_collector(tmp_path):
    assert Collector.configured(SidecarConfig(run_dir=tmp_path)) is None
