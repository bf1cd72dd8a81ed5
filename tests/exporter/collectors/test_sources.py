"""What the sources say of a peer is on its page: what each cannot know is absent, and a failed read is no zero."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from exporter.collectors import CollectError
from exporter.collectors.sources import Collector, parse
from exporter.config import SidecarConfig
from exporter.identity.own_peer import OwnPeer
from exporter.metrics import Sample, families
from exporter.textfile_reader import TextfileReader
from exporter.watch_file import SwarmIdentity, Watch
from tests.exporter.sources.json_server import JsonServer, Raw

NOW = 1_790_000_000.0
ALFA = "Qm" + "a" * 44
PATH = f"/api/standings/{ALFA}"
MATH = {
    "contract": "0.5",
    "read_at": NOW,
    "is_listed": True,
    "reward": -4,
    "wins": 2,
    "participation": 9,
    "round": 57,
    "account": "0xab",
    "account_peers": [ALFA],
    "first_read_at": NOW - 900,
    "reward_changed_at": NOW - 600,
    "participation_changed_at": NOW - 60,
}
OTHER = {"contract": "0.7", "read_at": NOW, "is_listed": False, "reward": 0, "round": 3, "reward_changed_at": NOW}


def chain(*standings: dict[str, Any], up: bool | None = True) -> dict[str, Any]:
    return {"source": "chain", "up": up, "success_at": NOW, "problem": None, "standings": list(standings)}


@pytest.fixture
def server() -> Iterator[JsonServer]:
    started = JsonServer()
    started.answers[PATH] = {"id": ALFA, "sources": [chain(MATH, OTHER)]}
    yield started
    started.close()


def make(server: JsonServer, run_dir: Path, **swarm: str) -> Collector:
    known = SwarmIdentity(**{"peer_id": ALFA, **swarm})
    return Collector(OwnPeer(TextfileReader(run_dir), known), known, server.url)


def show(samples: Sequence[Sample]) -> dict[str, float]:
    families(samples)
    return {
        one.name.removeprefix("swarm_") + "".join(f" {text}" for text in one.labels.values()): one.value
        for one in samples
    }


def set_round(run_dir: Path, number: int) -> None:
    (run_dir / "trainer.prom").write_text(f"swarm_round {number}\n")


def test_each_contract_keeps_its_own_series_and_says_whether_it_counts(server: JsonServer, tmp_path: Path) -> None:
    set_round(tmp_path, 55)
    assert show(make(server, tmp_path, version="0.6.4").collect(NOW)) == {
        "submit_period_seconds": 10800,
        "source_up chain": 1,
        "source_success_timestamp_seconds chain": NOW,
        "source_listed chain 0.5": 1,
        "source_reward chain 0.5": -4,
        "source_wins chain 0.5": 2,
        "source_participation chain 0.5": 9,
        "source_round chain 0.5": 57,
        "source_counts chain 0.5": 1,
        "source_reward_change_timestamp_seconds chain 0.5": NOW - 600,
        "source_participation_change_timestamp_seconds chain 0.5": NOW - 60,
        "source_listed chain 0.7": 0,
        "source_reward chain 0.7": 0,
        "source_round chain 0.7": 3,
        "source_counts chain 0.7": 0,
        "source_round_lag chain": 2,
    }


def test_a_peer_of_no_known_release_is_not_said_to_count_or_to_lag(server: JsonServer, tmp_path: Path) -> None:
    set_round(tmp_path, 55)
    shown = show(make(server, tmp_path).collect(NOW))
    assert not [name for name in shown if "counts" in name or "lag" in name or "period" in name]
    assert shown["source_reward_change_timestamp_seconds chain 0.7"] == NOW
    server.answers[PATH] = {"sources": [chain(MATH)]}
    assert show(make(server, tmp_path).collect(NOW))["source_round_lag chain"] == 2


def test_a_contract_that_is_given_by_address_is_known_by_name(server: JsonServer, tmp_path: Path) -> None:
    address = "0xFAD7C5E93f28257429569B854151A1B8DCD404C2"
    assert show(make(server, tmp_path, contract=address).collect(NOW))["source_counts chain 0.5"] == 1


def test_a_rank_is_told_by_the_source_that_has_one(server: JsonServer, tmp_path: Path) -> None:
    board = {"source": "http_leaderboard", "up": True, "success_at": NOW, "standings": [{"rank": 3, "ranked_peers": 8}]}
    server.answers[PATH] = {"sources": [board, chain(MATH)]}
    shown = show(make(server, tmp_path).collect(NOW))
    assert (shown["source_rank http_leaderboard"], shown["source_ranked_peers http_leaderboard"]) == (3, 8)
    assert "source_reward http_leaderboard" not in shown
    assert "source_rank chain 0.5" not in shown


def test_the_change_of_the_round_is_timed_from_the_second_one_on(server: JsonServer, tmp_path: Path) -> None:
    collector = make(server, tmp_path)
    seen = []
    for at, number in enumerate((5, 5, 6, 6)):
        set_round(tmp_path, number)
        seen.append(show(collector.collect(NOW + at)).get("round_change_timestamp_seconds"))
    assert seen == [None, None, NOW + 2, NOW + 2]


def test_the_last_values_stay_when_the_service_is_gone(server: JsonServer, tmp_path: Path) -> None:
    collector = make(server, tmp_path)
    before = show(collector.collect(NOW))
    server.answers[PATH] = Raw(b"", status=500)
    with pytest.raises(CollectError, match="answers with status 500") as failure:
        collector.collect(NOW + 5)
    assert show(failure.value.samples) == before | {"source_up chain": 0}


def test_a_source_that_was_not_read_yet_is_neither_up_nor_down(server: JsonServer, tmp_path: Path) -> None:
    server.answers[PATH] = {"sources": [{"source": "chain", "up": None, "success_at": None, "standings": []}]}
    assert show(make(server, tmp_path).collect(NOW)) == {}


def test_without_a_peer_id_nothing_is_asked_and_the_reason_is_said(server: JsonServer, tmp_path: Path) -> None:
    swarm = SwarmIdentity(version="0.7", identity_path=str(tmp_path / "swarm.pem"))
    collector = Collector(OwnPeer(TextfileReader(tmp_path), swarm), swarm, server.url)
    with pytest.raises(CollectError, match=r"no peer id: .*swarm.pem: No such file") as failure:
        collector.collect(NOW)
    assert show(failure.value.samples) == {"submit_period_seconds": 10800}
    assert server.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"sources": {}},
        {"sources": [1]},
        {"sources": [chain()] * 9},
        {"sources": [chain(*[MATH] * 17)]},
        {"sources": [chain(up=1)]},  # type: ignore[arg-type]
        {"sources": [chain({"reward": "7"})]},
        {"sources": [chain({"reward": 1e31})]},
        {"sources": [chain({"reward": float("inf")})]},
        {"sources": [chain({"contract": "<b>"})]},
        {"sources": [chain({"contract": "x" * 65})]},
        {"sources": [chain() | {"source": "a b"}]},
        {"sources": [chain() | {"success_at": "now"}]},
    ],
)
def test_what_is_no_answer_is_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match="is not what sources say of a peer"):
        parse(json.loads(json.dumps(answer)))


def test_a_trainer_without_swarm_or_sources_has_no_such_collector(tmp_path: Path) -> None:
    watched = Watch(None, {}, {}, SwarmIdentity(version="0.7"))
    assert Collector.configured(SidecarConfig(tmp_path, sources_url="http://127.0.0.1:8700")) is None
    assert Collector.configured(SidecarConfig(tmp_path, watch=watched)) is None
    assert Collector.configured(SidecarConfig(tmp_path, watch=watched, sources_url="http://127.0.0.1:8700"))
