"""The dashboard's peer API, against a server that answers as it does."""

from typing import Any

import pytest

from exporter.http_client import HttpClient
from exporter.leaderboard.last_values import LastValues
from exporter.sources import SourceError, Standing, check_options
from exporter.sources.dashboard import Source
from tests.exporter.sources.json_server import PAGE, JsonServer, Raw

NOW = 1_790_000_000.0
ALFA, BRAVO, CHARLIE = ("Qm" + letter * 44 for letter in "abc")

UNKNOWN = Raw(b'{"error": "peer not found"}', status=404, kind="application/json")


def path(peer_id: str) -> str:
    return f"/api/v1/peer?id={peer_id}"


def peer(peer_id: str, **others: Any) -> dict[str, Any]:
    return {"peerId": peer_id, "peerName": "meek soaring vulture", "reward": 12, "score": 3, "online": True, **others}


def read_failure(server: JsonServer, *peer_ids: str, source: Source | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught:
        (source or Source(server.url)).read(peer_ids or [ALFA], NOW)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_peer_has_reward_score_and_no_rank(server: JsonServer) -> None:
    server.answers = {path(ALFA): peer(ALFA), "/api/v1/round-stage": {"round": 9, "stage": 0}}

    (standing,) = Source(server.url).read([ALFA], NOW)

    assert standing == Standing(
        ALFA,
        NOW,
        is_listed=True,
        is_online=True,
        name="meek soaring vulture",
        reward=12.0,
        score=3.0,
        round=9,
        stage=0,
    )


def test_an_id_behind_a_wallet_is_the_peers(server: JsonServer) -> None:
    server.answers = {path(ALFA): peer(f"0x12ab|{ALFA}", reward=-4.5)}

    (standing,) = Source(server.url).read([ALFA], NOW)

    assert (standing.reward, standing.round) == (-4.5, None)


def test_a_peer_that_the_dashboard_does_not_know_has_no_reward(server: JsonServer) -> None:
    server.answers = {path(ALFA): UNKNOWN}

    (standing,) = Source(server.url).read([ALFA], NOW)

    assert (standing.is_listed, standing.reward) == (False, None)


def test_a_peer_that_it_had_before_is_not_lost_by_a_404(server: JsonServer) -> None:
    server.answers = {path(ALFA): peer(ALFA)}
    values = LastValues(Source(server.url))
    values.read([ALFA], NOW)
    server.answers[path(ALFA)] = UNKNOWN

    report = values.read([ALFA], NOW + 300)

    assert (report.is_up, report.success_at, report.standings[0].reward) == (False, NOW, 12.0)
    assert report.problem == f"{server.url}: answers 404 for a peer that it had before (0 of 1 peers were read)"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Raw(b"<!doctype html><title>dashboard</title>"), "/api/v1/peer: is a web page, not JSON"),
        (Raw(b"<h1>Not found</h1>", status=404), "/api/v1/peer: is a web page, not JSON"),
        (Raw(b"oops", status=503, kind="text/plain"), "/api/v1/peer: answers with status 503"),
        (Raw(b"{", kind="application/json"), "/api/v1/peer: is not JSON"),
        (Raw(b" " * (1 << 20), kind="application/json", times=50), "/api/v1/peer: too slow or too large"),
        ([], ": its answer is not a peer"),
        ({"peerId": ALFA, "peerName": "a"}, ": its answer has no reward"),
        (peer(ALFA, reward="12"), ": its answer has no reward"),
        (peer(ALFA, reward=float("nan")), ": its answer has no reward"),
        (peer(BRAVO), ": its answer is about another peer"),
    ],
)
def test_what_is_no_answer_is_a_failed_read(server: JsonServer, answer: object, problem: str) -> None:
    server.answers = {path(ALFA): answer}

    assert str(read_failure(server)).startswith(f"{server.url}{problem}")


def test_a_password_in_the_url_is_not_repeated(server: JsonServer) -> None:
    source = Source(server.url.replace("//", "//me:secret@"))
    for answer in (Raw(PAGE), {}, Raw(b"{", kind="application/json")):
        server.answers = {path(ALFA): answer}
        assert "secret" not in str(read_failure(server, source=source))


def test_a_slow_answer_is_a_failed_read(server: JsonServer) -> None:
    server.answers = {path(ALFA): Raw(b" ", kind="application/json", times=40, pause_seconds=0.05)}

    read_failure(server, source=Source(server.url, client=HttpClient(timeout_seconds=0.3)))


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", '"quoted"', "a" * 100])
def test_markup_is_no_name(server: JsonServer, name: str) -> None:
    server.answers = {path(ALFA): peer(ALFA, peerName=name, online="yes", score=None)}

    (standing,) = Source(server.url).read([ALFA], NOW)

    assert (standing.name, standing.is_online, standing.score, standing.reward) == (None, None, None, 12.0)


def test_one_peer_that_cannot_be_read_costs_no_other(server: JsonServer) -> None:
    others = [f"Qm{number:044d}".replace("0", "z") for number in range(5)]
    server.answers = {path(ALFA): peer(ALFA), path(CHARLIE): peer(CHARLIE)} | {path(other): {} for other in others}

    error = read_failure(server, ALFA, *others, CHARLIE)

    assert [standing.peer_id for standing in error.standings] == [ALFA, CHARLIE]
    assert str(error).endswith("(2 of 7 peers were read)")


def test_answers_that_fail_now_and_then_cost_only_themselves(server: JsonServer) -> None:
    peers = [f"Qm{number:044d}".replace("0", "z") for number in range(6)]
    broken = Raw(b"", status=502)
    server.answers = {path(one): broken if number % 2 else peer(one) for number, one in enumerate(peers)}

    assert [standing.peer_id for standing in read_failure(server, *peers).standings] == peers[::2]


def test_a_dashboard_that_is_gone_is_not_asked_for_every_peer(server: JsonServer) -> None:
    peers = [f"Qm{number:044d}".replace("0", "z") for number in range(50)]

    read_failure(server, *peers)

    assert len(server.asked) == 2


def test_too_many_requests_stop_the_read_and_double_the_time_to_the_next(server: JsonServer) -> None:
    server.answers = {"/api/v1/peer": Raw(b"", status=429, kind="text/plain")}
    values = LastValues(Source(server.url))

    for minutes in range(36):
        values.read([ALFA, BRAVO], NOW + 60 * minutes)

    # After 0, 10 and 30 minutes.
    assert server.asked == [path(ALFA)] * 3


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "dashboard"}, "url: is not a URL; write one such as https://dashboard.gensyn.ai"),
        ({"interval_seconds": 30}, "interval_seconds: '30' is not a number from 60 to 86400"),
        ({"name": "x"}, "name: unknown option; the options are url, interval_seconds"),
    ],
)
def test_a_wrong_option_is_named_in_one_line(options: dict[str, object], problem: str) -> None:
    found = check_options("dashboard", options)

    assert found is not None
    assert found.startswith(f"dashboard: {problem}")


def test_it_needs_no_option() -> None:
    assert check_options("dashboard", {}) is None
