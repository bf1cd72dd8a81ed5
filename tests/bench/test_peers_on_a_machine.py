"""Steps per second of one to four peers on this machine against a run of TRL alone, in turn."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.architecture import ROOT
from tests.fakes import wait_for
from tests.trainer.conftest import make_peer as make_peer
from tests.trainer.peers import QUICK, Peer

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(sys.platform == "win32", reason="stops processes"),
]

MOST = 4
# Alone, peers, peers, alone: a drift of the machine falls on both alike.
PATTERN, TURN_SECONDS, BLOCKS = (False, True, True, False), 4.0, 4
SUBJECT = "Peers of the tiny model on one machine, of three stages, against a run of TRL alone"


def send(pids: list[int], number: signal.Signals) -> None:
    """To these processes and all below them; some of those are gone in a moment."""
    for pid in pids:
        for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)


@contextmanager
def running(pids: list[int]) -> Iterator[None]:
    """They run inside, and are stopped outside."""
    send(pids, signal.SIGCONT)
    try:
        yield
    finally:
        send(pids, signal.SIGSTOP)


def lines(path: Path) -> int:
    return path.read_text().count("\n")


def swarm(make_peer: Callable[..., Peer], size: int) -> list[Peer]:
    """Peers of a swarm of their own, which step."""
    options = {"grpo": QUICK, "device": "cpu"}
    peers: list[Peer] = []
    for number in range(size):
        joins = {"initial_peers": [peers[0].address()]} if peers else {"leader": True}
        peers.append(make_peer(f"{size}-{number}", swarm={"port": 0, **joins}, seed=number, **options).start())
    for peer in peers:
        peer.wait_for_steps(10)
    return peers


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_steps_of_peers_against_those_of_trl_alone(
    make_peer: Callable[..., Peer], tmp_path: Path, record: Callable[..., None], size: int
) -> None:
    notes = tmp_path / "notes"
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.plain_trl", str(notes)]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
    ) as alone:
        try:
            wait_for(lambda: notes.exists() and lines(notes) > 10, 120, "steps of TRL alone")
            one = [alone.pid]
            send(one, signal.SIGSTOP)
            peers = swarm(make_peer, size)
            all_of_them = [peer.process.pid for peer in peers if peer.process is not None]
            send(all_of_them, signal.SIGSTOP)
            ratios, plain, together = [], [], []
            for _ in range(BLOCKS):
                counts = {False: 0, True: 0}
                for is_swarm in PATTERN:
                    before = lines(notes), sum(len(peer.steps()) for peer in peers)
                    with running(all_of_them if is_swarm else one):
                        time.sleep(TURN_SECONDS)
                    after = lines(notes), sum(len(peer.steps()) for peer in peers)
                    counts[is_swarm] += after[is_swarm] - before[is_swarm]
                seconds = TURN_SECONDS * PATTERN.count(True)
                plain.append(counts[False] / seconds)
                together.append(counts[True] / seconds)
                ratios.append(counts[True] / max(1, counts[False]))
        finally:
            alone.kill()
    send(all_of_them, signal.SIGCONT)
    for peer in peers:
        assert peer.end() == 0, peer.text()
    middle, one_alone, ratio = (statistics.median(values) for values in (together, plain, ratios))
    figures = f"{middle:.1f}, {middle / size:.1f}, {one_alone:.1f}"
    record(SUBJECT, f"steps a second: {size} together, each, TRL alone", figures)
    record(SUBJECT, f"{size} together / TRL alone", f"{ratio:.2f}")
    assert ratio > 0
