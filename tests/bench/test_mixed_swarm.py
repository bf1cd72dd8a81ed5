"""Two peers of ours and two written to rl-swarm v0.4's description, in both roles, while the leader is killed twice.

A v0.4 leader that comes back goes on in the next round here, as one does that takes its round from a contract.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.architecture import ROOT
from tests.exporter.leaderboard.service import Seed
from tests.fakes import reserve_ports, wait_for
from tests.trainer.conftest import make_peer as make_peer
from tests.trainer.peers import SHORT, Peer
from tests.trainer.v04_peer import QUESTION, is_malformed
from trainer.swarm.identity import read_peer_id

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3000)]

ROUNDS = 10
KILLED_AT = (3, 6)
# Of a v0.4 leader: as long as ours take for a stage, and no more than they are slowed by a busy machine.
STAGE_SECONDS = 4.0
SUBJECT = "Two peers of ours and two of v0.4"


class Guest:
    """A v0.4 peer in a process of its own."""

    def __init__(self, address: str, seen: Path, *leads: float) -> None:
        self._seen = seen
        command = [sys.executable, "-m", "tests.trainer.v04_peer", address, str(seen), *map(str, leads)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)

    def stop(self) -> dict[str, Any]:
        """Ends it; what it saw."""
        self._process.communicate(b"stop\n", timeout=120)
        seen: dict[str, Any] = json.loads(self._seen.read_text())
        return seen

    def kill(self) -> None:
        """With its DHT and p2pd."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    node = Seed(tmp_path, reserve_ports(1)[0])
    yield node.address
    node.stop()


def reached(*peers: Peer) -> int:
    """The round that any of them logged last."""
    return max((int(peer.steps()[-1]["round"]) for peer in peers if peer.steps()), default=-1)


@pytest.mark.parametrize("we_lead", [True, False], ids=["we lead", "we follow"])
def test_neither_side_finds_anything_malformed(
    make_peer: Callable[..., Peer], address: str, tmp_path: Path, record: Callable[..., None], we_lead: bool
) -> None:
    role = "lead" if we_lead else "follow"
    joined = {"port": 0, "initial_peers": [address]}
    ours = [
        make_peer(f"{role}-{number}", swarm=joined | {"leader": we_lead and number == 0}, seed=number, **SHORT)
        for number in range(2)
    ]
    with ExitStack() as stack:
        witness = Guest(address, tmp_path / "witness.json")
        stack.callback(witness.kill)
        leads = () if we_lead else (0, STAGE_SECONDS)
        other = Guest(address, tmp_path / "other.json", *leads)
        stack.callback(lambda: other.kill())
        for peer in ours:
            peer.start()
        for number in KILLED_AT:
            wait_for(lambda number=number: reached(*ours) >= number, 300, f"round {number}")  # type: ignore[misc]
            if we_lead:
                assert ours[0].process is not None
                ours[0].process.kill()
                ours[0].process.wait(60)
                ours[0].start()
            else:
                other.kill()
                other = Guest(address, tmp_path / "other.json", reached(*ours) + 1, STAGE_SECONDS)
        wait_for(lambda: reached(*ours) >= ROUNDS, 300, f"round {ROUNDS}")
        seen = witness.stop()
        for peer in ours:
            assert peer.end() == 0, peer.text()

    ids = {read_peer_id(peer.run_dir / "identity.pem") for peer in ours}
    records = [
        (int(place.split("_")[1]), peer_id, subkey, one)
        for place, found in seen["records"].items()
        for peer_id, outputs in found.items()
        if peer_id in ids
        for subkey, _, one in outputs
    ]
    malformed = [one for one in records if is_malformed(*one)]
    rejected = [
        line
        for peer in ours
        for line in (peer.run_dir / "trainer.prom").read_text().splitlines()
        if line.startswith("swarm_outputs_rejected_total ")
    ]
    record(SUBJECT, f"rounds, and records of ours that v0.4 read; we {role}", f"{reached(*ours)}, {len(records)}", "")
    record(SUBJECT, f"malformed to v0.4, and to us; we {role}", f"{len(malformed)}; {', '.join(rejected)}", "0")
    assert malformed == []
    assert {stage for stage, *_ in records} == {0, 1, 2}
    assert rejected == ["swarm_outputs_rejected_total 0.0"] * 2
    assert any(one["question"] == QUESTION for stage, _, _, one in records if stage)
