"""The sources are read once for a host, each no more often than it allows, and what they say is kept and served."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from exporter.leaderboard.api import create_app
from exporter.leaderboard.changes import Change, Changes, follow, read_changes
from exporter.leaderboard.measures import Measures
from exporter.leaderboard.snapshot import Snapshot
from exporter.leaderboard.standings import ASKED_SECONDS, MAX_PEERS, Standings
from exporter.leaderboard.standings_api import make_sources_app
from exporter.serving.host_names import scraped_names
from exporter.sources import SourceError, Standing
from tests.fakes import wait_for

NOW = 1_790_000_000.0
ALFA, BRAVO = ("Qm" + letter * 44 for letter in "ab")


class Ledger:
    """A source whose totals a test sets; `asked` are the reads so far."""

    OPTIONS = ()
    interval_seconds = 60.0

    def __init__(self) -> None:
        self.rewards: dict[str, float] = {}
        self.asked: list[tuple[float, list[str]]] = []
        self.failure: Exception | None = None

    @classmethod
    def configured(cls, options: Any) -> "Ledger":
        return cls()

    def read(self, peer_ids: Sequence[str], now: float) -> Sequence[Standing]:
        self.asked.append((now, list(peer_ids)))
        if self.failure is not None:
            raise self.failure
        return [
            Standing(one, now, contract="0.7", reward=self.rewards.get(one, 0.0), participation=3, account="0xab")
            for one in peer_ids
        ]


@pytest.fixture
def source() -> Ledger:
    return Ledger()


@pytest.fixture
def standings(source: Ledger, tmp_path: Path) -> Standings:
    return Standings({"chain": source}, Changes(tmp_path / "changes.json"), [ALFA])


def find(standings: Standings, peer_id: str, now: float) -> dict[str, Any]:
    (one,) = standings.page(peer_id, now)["sources"]
    return dict(one)


def test_peers_that_are_known_or_asked_for_are_read_together_and_not_too_often(
    standings: Standings, source: Ledger
) -> None:
    assert find(standings, BRAVO, NOW) == {
        "source": "chain", "up": None, "success_at": None, "problem": None, "standings": [],
    }  # fmt: skip
    for second in range(130):
        standings.read("chain", NOW + second)
    assert source.asked == [(NOW + at, [ALFA, BRAVO]) for at in (0, 60, 120)]


def test_a_peer_that_nobody_asks_for_any_more_is_read_no_more(standings: Standings, source: Ledger) -> None:
    standings.page(BRAVO, NOW)
    standings.read("chain", NOW + ASKED_SECONDS + 1)
    assert source.asked[-1][1] == [ALFA]


def test_the_crowd_of_those_asked_for_is_bounded_and_nonsense_is_not_read(standings: Standings, source: Ledger) -> None:
    for number in range(2 * MAX_PEERS):
        standings.page(f"Qm{number:044d}".replace("0", "z"), NOW)
    standings.page("../../etc", NOW)
    standings.read("chain", NOW)
    assert len(source.asked[0][1]) == MAX_PEERS
    assert "../../etc" not in source.asked[0][1]


def test_it_is_told_since_when_a_total_stays_over_a_restart(source: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "changes.json"
    first = Standings({"chain": source}, Changes(path), [ALFA])
    for minute, reward in enumerate([5, 5, 8, 8]):
        source.rewards[ALFA] = reward
        first.read("chain", NOW + 60 * minute)
    second = Standings({"chain": source}, Changes(path), [ALFA])
    source.failure = SourceError("the service is down")
    second.read("chain", NOW + 240)
    assert find(second, ALFA, NOW + 240)["problem"] == "the service is down"
    source.failure = None
    second.read("chain", NOW + 300)
    (standing,) = find(second, ALFA, NOW + 300)["standings"]
    assert standing == {
        "read_at": NOW + 300,
        "contract": "0.7",
        "reward": 8,
        "participation": 3,
        "account": "0xab",
        "first_read_at": NOW,
        "reward_changed_at": NOW + 120,
        "participation_changed_at": NOW,
    }


def test_a_source_that_breaks_is_a_failed_read(standings: Standings, source: Ledger) -> None:
    standings.read("chain", NOW)
    source.failure = KeyError("x")
    standings.read("chain", NOW + 60)
    found = find(standings, ALFA, NOW + 61)
    assert (found["up"], found["success_at"], found["problem"]) == (False, NOW, "KeyError: 'x'")
    assert found["standings"][0]["read_at"] == NOW


def test_each_source_is_read_by_its_own_thread(tmp_path: Path) -> None:
    hangs, other, stop, go = Ledger(), Ledger(), threading.Event(), threading.Event()
    hangs.read = lambda peers, now: list(range(go.wait(60), 0))  # type: ignore[method-assign]
    standings = Standings({"a": hangs, "b": other}, Changes(tmp_path / "changes.json"), [ALFA])
    standings.start(stop)
    wait_for(lambda: other.asked, 60, "the other source is read")
    stop.set()
    go.set()


def test_a_number_that_is_missing_once_changes_nothing() -> None:
    first = follow(None, Standing(ALFA, 1.0, reward=2.0, participation=3))
    assert first == Change(1.0, 2.0, 1.0, 3, 1.0)
    assert follow(first, Standing(ALFA, 2.0)) == first
    assert follow(first, Standing(ALFA, 3.0, reward=1.0, participation=3)) == Change(1.0, 1.0, 3.0, 3, 1.0)


@pytest.mark.parametrize("content", ["", "{", "[[1]]", '[["a", "b", "c", {}]]', "[" * 9999, '[["a", "b", "c", 7]]'])
def test_a_damaged_file_is_begun_again(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "changes.json"
    path.write_text(content)
    assert read_changes(path) == {}
    assert "cannot be read, and is begun again" in caplog.text


def test_the_service_serves_sources_without_a_board(standings: Standings) -> None:
    hosts = scraped_names("127.0.0.1", ())
    client = TestClient(make_sources_app(standings, hosts, lambda: NOW), base_url="http://127.0.0.1:8700")
    assert client.get("/api/healthz").status_code == 500
    standings.read("chain", NOW)
    assert client.get("/api/healthz").json() == {"message": "OK", "lastPolled": 0.0}
    assert client.get(f"/api/standings/{ALFA}").json()["sources"][0]["standings"][0]["account"] == "0xab"
    assert client.get(f"/api/peers/{ALFA}").status_code == 404
    assert client.get("/api/healthz", headers={"Host": "evil.example"}).status_code == 421


def test_the_service_serves_sources_beside_a_board(standings: Standings) -> None:
    hosts = scraped_names("127.0.0.1", ())
    standings.read("chain", NOW)
    for told, status in ((standings, 200), (None, 404)):
        app = create_app(Snapshot, Measures(), 300.0, hosts, lambda: NOW, standings=told)
        client = TestClient(app, base_url="http://127.0.0.1:8700")
        assert client.get(f"/api/standings/{ALFA}").status_code == status
        assert client.get("/api/healthz").status_code == 500


def test_sources_are_served_without_the_packages_that_a_board_needs() -> None:
    code = "import exporter.leaderboard.__main__, sys; print({'fastapi', 'msgpack', 'hivemind'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
