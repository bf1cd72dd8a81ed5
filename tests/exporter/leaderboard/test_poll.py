"""The service's loop against a swarm whose records are written down here, and a real database."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from exporter.leaderboard.config import LeaderboardConfig
from exporter.leaderboard.measures import Measures
from exporter.leaderboard.poll import Poller
from exporter.leaderboard.position import POLLS_TO_MOVE
from exporter.leaderboard.reader import Answers, ReadFailed
from exporter.leaderboard.store import Store
from trainer.protocol import EXPIRATION_SECONDS, LATE_ROUNDS, MAX_ROUND

NOW = 1_700_000_000.0
A, B, C = ("Qm" + letter * 44 for letter in "abc")
SEED = f"/ip4/127.0.0.1/tcp/1/p2p/{A}"


class Swarm:
    """Answers as the reader process does."""

    def __init__(self) -> None:
        self.position: tuple[int, int] | None = None
        self.rewards: dict[tuple[int, int], dict[str, tuple[float, float]]] = {}
        self.now = NOW
        self.failure = ""

    def earn(self, place: tuple[int, int], **sums: float) -> None:
        """Records written now, by peer letter."""
        self.now += 1
        entries = self.rewards.setdefault(place, {})
        entries.update({"Qm" + letter * 44: (value, self.now + EXPIRATION_SECONDS) for letter, value in sums.items()})

    def ask(self, queries: Sequence[Sequence[Any]], now: float) -> Answers:
        if self.failure:
            raise ReadFailed(self.failure)
        return Answers(1, [self._answer(*query) for query in queries])

    def _answer(self, kind: str, *arguments: Any) -> Any:
        if kind == "position":
            return self.position
        if kind == "outputs":
            return []
        entries = self.rewards.get((arguments[0], arguments[1]))
        return None if entries is None else [entries, {}]


class Service:
    """A poller over a swarm, restarted at will on the same database."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.config = LeaderboardConfig(database=folder / "board.sqlite", initial_peers=[SEED], **settings)
        self.swarm, self.measures = Swarm(), Measures()
        self.start()

    def start(self) -> None:
        self.store = Store(self.config.database)
        self.poller = Poller(self.config, self.swarm, self.store, self.measures)

    def stop(self) -> None:
        self.store.close()

    def poll(self, times: int = 1) -> None:
        for _ in range(times):
            self.poller.poll(self.swarm.now)

    def page(self, peer_id: str) -> dict[str, Any]:
        page = self.poller.snapshot.peer_page(peer_id)
        assert page is not None
        return page


@pytest.fixture
def service(tmp_path: Path) -> Any:
    service = Service(tmp_path, names={A: "ours"})
    yield service
    service.stop()


def test_the_board_of_a_swarm_that_earns(service: Service) -> None:
    service.swarm.position = (3, 1)
    service.swarm.earn((3, 0), a=2.0, b=5.0)
    service.swarm.earn((3, 1), a=4.0)
    service.poll()
    page = service.page(A)
    assert page == {
        "id": A,
        "nickname": "ours",
        "rank": 1,
        "total": 2,
        "establishedRank": 1,
        "establishedTotal": 2,
        "verified": True,
        "cumulative": 6.0,
        "stageReward": 4.0,
        "round": 3,
        "stage": 1,
        "lastSeen": NOW + 2,
    }
    assert service.page(B)["cumulative"] == 5.0


def test_every_stage_counts_of_a_swarm_faster_than_the_polls(service: Service) -> None:
    service.swarm.position = (0, 0)
    service.swarm.earn((0, 0), a=1.0)
    service.poll()
    for number in range(12):
        for stage in range(3):
            service.swarm.earn((number, stage), a=1.0)
            service.swarm.position = (number, stage)
    service.poll()
    assert service.page(A)["cumulative"] == 36.0
    assert service.page(A)["round"] == 11


def test_the_board_goes_on_without_an_announcement(service: Service) -> None:
    for number in range(4):
        for stage in range(3):
            service.swarm.earn((number, stage), a=1.0)
        service.poll()
    assert service.page(A)["cumulative"] == 12.0
    assert (service.page(A)["round"], service.page(A)["stage"]) == (3, 2)


def test_an_emptied_dht_is_a_failed_read_and_keeps_the_board(service: Service) -> None:
    service.swarm.position = (3, 1)
    service.swarm.earn((3, 1), a=4.0, b=1.0)
    service.poll()
    before = service.poller.snapshot
    service.swarm.rewards.clear()
    with pytest.raises(ReadFailed, match="no rewards"):
        service.poll()
    assert service.poller.snapshot is before


def test_a_restart_keeps_the_board_and_counts_nothing_twice(service: Service) -> None:
    service.swarm.position = (3, 1)
    service.swarm.earn((3, 0), a=2.0, b=5.0)
    service.swarm.earn((3, 1), a=4.0)
    service.poll()
    service.stop()
    service.start()
    assert service.page(A)["cumulative"] == 6.0
    assert service.poller.snapshot.polled_at is None
    service.poll()
    assert service.page(A)["cumulative"] == 6.0
    service.swarm.earn((3, 1), a=4.5)
    service.poll()
    assert service.page(A)["cumulative"] == 6.5


def test_a_restarted_swarm_goes_on_adding_to_the_totals(service: Service) -> None:
    service.swarm.position = (57, 2)
    service.swarm.earn((57, 2), a=10.0, b=3.0)
    service.poll()
    service.swarm.rewards.clear()
    for number in range(POLLS_TO_MOVE):
        service.swarm.position = (0, 0)
        service.swarm.earn((0, 0), a=1.0 + number)
        service.poll()
    assert service.page(A)["cumulative"] == 10.0 + POLLS_TO_MOVE
    assert service.page(B)["cumulative"] == 3.0
    assert (service.page(A)["round"], service.page(A)["stage"]) == (0, 0)


def test_old_records_of_a_dht_that_outlived_the_restart_count_once(service: Service) -> None:
    service.swarm.earn((0, 0), a=100.0)
    service.swarm.position = (0, 0)
    service.poll()
    for number in range(1, 57):
        service.swarm.position = (number, 0)
        service.swarm.earn((number, 0), a=1.0)
        service.poll()
    assert service.page(A)["cumulative"] == 156.0
    service.swarm.position = (0, 1)
    for number in range(POLLS_TO_MOVE + 1):
        service.swarm.earn((0, 1), a=2.0 + number)
        service.poll()
    assert service.page(A)["cumulative"] == 156.0 + 2.0 + POLLS_TO_MOVE


def test_a_hostile_announcement_and_its_fake_rewards_do_not_stop_the_board(service: Service) -> None:
    service.swarm.position = (5, 0)
    service.swarm.earn((5, 0), a=1.0)
    service.poll()
    service.swarm.position = (MAX_ROUND, 7)
    for number in range(6, 16):
        service.swarm.earn((MAX_ROUND, 7), c=1e6)
        service.swarm.earn((number, 0), a=1.0)
        service.poll()
    assert service.page(A)["cumulative"] == 11.0
    assert service.page(A)["round"] == 15
    assert C not in service.poller.snapshot.peers


def test_a_service_that_starts_under_a_hostile_announcement_finds_the_swarm_when_it_ends(service: Service) -> None:
    service.swarm.position = (MAX_ROUND, 0)
    service.swarm.earn((MAX_ROUND, 0), c=1e6)
    service.poll(5)
    for number in range(4, 4 + POLLS_TO_MOVE):
        service.swarm.position = (number, 0)
        service.swarm.earn((number, 0), a=2.0)
        service.poll()
    assert service.page(A)["round"] == 3 + POLLS_TO_MOVE
    assert service.page(A)["cumulative"] == 4.0


def test_a_board_full_of_fakes_keeps_its_bounds(tmp_path: Path) -> None:
    service = Service(tmp_path, names={A: "ours"}, max_peers=5000)
    service.swarm.position = (0, 0)
    service.swarm.earn((0, 0), a=1.0)
    expiry = NOW + EXPIRATION_SECONDS
    fakes = {f"Qm{i:044d}".replace("0", "z"): (1e6, expiry) for i in range(20_000)}
    service.swarm.rewards[0, 0].update(fakes)
    started = time.process_time()
    service.poll(2)
    assert time.process_time() - started < 40
    snapshot = service.poller.snapshot
    assert service.page(A)["rank"] == service.page(A)["total"] == 5000
    assert len(snapshot.cumulative) < 2_000_000
    assert len(snapshot.history) < 1_000_000
    assert service.store.size_bytes() < 16 * 1024 * 1024
    service.stop()


def test_a_sum_that_is_published_some_rounds_late_counts_once(service: Service) -> None:
    service.swarm.position = (3, 0)
    service.swarm.earn((3, 0), a=1.0, b=2.0)
    service.poll()
    for number in range(4, 4 + LATE_ROUNDS):
        service.swarm.position = (number, 0)
        service.swarm.earn((number, 0), b=1.0)
        service.poll()
    service.swarm.earn((3, 0), a=4.0, b=2.0)
    service.swarm.earn((5, 1), a=8.0)
    service.poll(2 * LATE_ROUNDS)
    assert (service.page(A)["cumulative"], service.page(B)["cumulative"]) == (12.0, 2.0 + LATE_ROUNDS)

    service.swarm.position = (4 + LATE_ROUNDS, 0)
    service.swarm.earn((4 + LATE_ROUNDS, 0), b=1.0)
    service.poll()
    service.swarm.earn((3, 0), a=50.0)
    service.poll(2 * LATE_ROUNDS)
    assert service.page(A)["cumulative"] == 12.0


def test_a_swarm_that_restarts_within_those_rounds_counts_its_records_once(service: Service) -> None:
    for number in range(5):
        service.swarm.position = (number, 0)
        service.swarm.earn((number, 0), a=10.0)
        service.poll()
    for number in range(POLLS_TO_MOVE):
        service.swarm.position = (0, 0)
        service.swarm.earn((0, 0), a=1.0 + number)
        service.poll()
    service.poll(2 * LATE_ROUNDS)
    assert service.page(A)["cumulative"] == 50.0 + POLLS_TO_MOVE


def test_a_flood_that_no_reader_survives_is_told_and_over_when_it_has_expired(service: Service) -> None:
    service.swarm.position = (0, 0)
    service.swarm.earn((0, 0), a=1.0)
    assert service.poller._try_poll() == ""
    assert b"leaderboard_poll_success 1.0" in service.measures.render()

    service.swarm.failure = "the DHT did not answer within 15 s"
    service.swarm.earn((0, 0), a=3.0)
    assert service.poller._try_poll() == service.poller.snapshot.problem == service.swarm.failure
    assert b"leaderboard_poll_success 0.0" in service.measures.render()
    assert service.page(A)["cumulative"] == 1.0

    service.swarm.failure = ""
    assert service.poller._try_poll() == service.poller.snapshot.problem == ""
    assert service.page(A)["cumulative"] == 3.0
