"""Two halves of a swarm in network namespaces are cut off from each other and joined again; needs root and `ip`."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench.swarm_of_players import make_players
from tests.exporter.leaderboard.service import Leaderboard
from tests.fakes import wait_for

BRIDGE, NETWORK = "pwbridge", "10.231.0"
HALVES = {"pwleft": f"{NETWORK}.1", "pwright": f"{NETWORK}.2"}
CUT_SECONDS = 45.0


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def halves() -> Iterator[None]:
    """Two namespaces on one bridge, which this host is on too."""
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and ip")
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", f"{NETWORK}.254/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for name, address in HALVES.items():
            ip("netns", "add", name)
            ip("link", "add", f"{name}0", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{name}0", "master", BRIDGE, "up")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield
    finally:
        for name in HALVES:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", BRIDGE], check=False, capture_output=True)


@pytest.mark.bench
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("halves")
def test_a_cut_swarm_goes_on_in_both_halves_and_is_one_again(tmp_path: Path, record: Callable[..., None]) -> None:
    hosts = [(address, ("ip", "netns", "exec", name)) for name, address in HALVES.items() for _ in range(2)]
    players = make_players(tmp_path, hosts)
    left, right = players[:2], players[2:]
    ids = [one.peer_id for one in players]
    for one in players:
        one.start()
        wait_for(lambda one=one: "/p2p/" in (one.folder / "output.txt").read_text(), 60, "a node")  # type: ignore[misc]
    signed = {"signed": True, "leaders": ids, "members": ids, "names": {one: one[-6:] for one in ids}}
    board = Leaderboard(tmp_path, left[0].address, initial_peers=[one.address for one in players], **signed)
    try:
        wait_for(lambda: all(one.round() >= 1 for one in players), 90, "all play")
        ip("link", "set", "pwright0", "down")
        before = [one.round() for one in players]
        time.sleep(CUT_SECONDS)
        apart = [one.round() for one in players]
        assert apart[0] > before[0] + 1
        wait_for(lambda: max(one.round() for one in right) > max(before) + 1, 60, "the other half goes on")
        ip("link", "set", "pwright0", "up")
        joined = time.monotonic()

        def is_one() -> bool:
            rounds = [one.round() for one in players]
            return min(rounds) > max(apart) + 2 and max(rounds) - min(rounds) <= 1

        wait_for(is_one, 180, "one swarm again", every=1)
        seconds = time.monotonic() - joined
        names = [leader["id"] for leader in board.get("/api/leaderboard-cumulative").json()["leaders"]]
        assert sorted(names) == sorted(ids)
        shown = board.get("/api/round_and_stage").json()["round"]
        assert abs(shown - players[0].round()) <= 1
    finally:
        for one in players:
            if one.process and one.process.poll() is None:
                one.kill()
        board.stop()
    subject = "A swarm of four peers without models, cut in two and joined"
    record(subject, "rounds of each half while cut off", f"{apart[0] - before[0]}, {apart[2] - before[2]}")
    record(subject, "until all are in the same round again", f"{seconds:.0f} s", "< 180 s")
