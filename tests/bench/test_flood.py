"""A flood of made-up peers on the rewards key: training goes on, and the board recovers when it has expired."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.exporter.leaderboard.service import Leaderboard
from tests.fakes import wait_for
from tests.lazy import lazily
from tests.trainer.swarm.conftest import earn, flood
from tests.trainer.swarm.test_publisher import FakeTelemetry
from trainer.config import SwarmConfig
from trainer.protocol import RoundAndStage, rewards_key
from trainer.swarm.identity import ensure_identity
from trainer.swarm.publisher import Publisher

dht = lazily("trainer.swarm.dht")

SUBKEYS = 70_000
LIVES_SECONDS = 60.0
AT = RoundAndStage(0, 0)


@pytest.mark.bench
@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(1800)
def test_a_flood_of_subkeys_stops_nobody(tmp_path: Path, record: Callable[..., None]) -> None:
    peer_id = ensure_identity(tmp_path / "identity.pem")
    (tmp_path / "other").mkdir()
    ensure_identity(tmp_path / "other" / "identity.pem")
    stranger = dht.Swarm(SwarmConfig(port=0, leader=True), tmp_path / "other", tmp_path / "other" / "identity.pem")
    joined = SwarmConfig(port=0, leader=True, initial_peers=stranger.addresses)
    swarm, telemetry = dht.Swarm(joined, tmp_path, tmp_path / "identity.pem"), FakeTelemetry()
    publisher = Publisher(swarm, telemetry, tmp_path, peer_id, interval_seconds=1.0)
    publisher.start()
    board = Leaderboard(tmp_path, swarm.addresses[0], names={peer_id: "ours"}, stale_after_seconds=30, max_peers=200)
    try:
        publisher.announce(AT, is_new=True)
        earn(publisher, AT, 1.0)
        board.wait_for_cumulative(peer_id, 1.0, 60)
        for node in (stranger, swarm):
            flood(node, rewards_key(*AT), SUBKEYS, lives=LIVES_SECONDS)
        flooded, said = time.monotonic(), set()
        for stage in range(1, 6):
            following = RoundAndStage(0, stage)
            before = len(telemetry.published_at)
            publisher.announce(AT, is_new=False)
            earn(publisher, following, 1.0)
            wait_for(lambda before=before: len(telemetry.published_at) > before, 60, "publishing")  # type: ignore[misc]
        slowest = max(b - a for a, b in zip(telemetry.published_at, telemetry.published_at[1:], strict=False))
        record("Flood of subkeys", "longest pause between publications of the leader", f"{slowest:.1f} s", "< 60 s")
        assert board.peer(peer_id).get("cumulative", 1.0) >= 1.0
        while time.monotonic() - flooded < LIVES_SECONDS:
            if "leaderboard_poll_success 0.0" in board.get("/metrics").text:
                health = board.get("/api/healthz").json()
                said.add(re.sub(r"\d+ s ago: ", "… s ago: ", health.get("problem") or health["detail"]))
            time.sleep(1.0)
        publisher.announce(RoundAndStage(0, 5), is_new=True)
        expired = time.monotonic()
        failures = re.findall(r"^leaderboard_poll_failures_total (\S+)", board.get("/metrics").text, re.MULTILINE)
        record("Flood of subkeys", "polls of the board that failed", failures[0])
        record("Flood of subkeys", "what the board said", "; ".join(sorted(said)))
        assert said
        board.wait_for_cumulative(peer_id, 6.0, 120)
        board.wait_for_health()
        record(
            "Flood of subkeys", f"recovery after {SUBKEYS} subkeys", f"{time.monotonic() - expired:.0f} s", "< 120 s"
        )
        assert swarm.is_alive()
    finally:
        publisher.close(10)
        board.stop()
        swarm.close()
        stranger.close()
