"""A signed swarm of peers, each in a process of its own, which can be killed and started again."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.architecture import ROOT
from tests.fakes import reserve_ports
from tests.trainer.peers import QUICK
from tests.trainer.recount import recount
from trainer.protocol import RoundAndStage
from trainer.swarm.identity import ensure_identity

# Two rounds of the tiny model take as long as a start: a peer that is killed is back while its sums still count.
STEPS_PER_STAGE = 30


class Player:
    """A peer without a model: its process, and what it earned in all its runs, by its log."""

    def __init__(self, folder: Path, config: dict[str, Any], prefix: Sequence[str]) -> None:
        self.folder, self.peer_id = folder, ensure_identity(folder / "identity.pem")
        self.config, self._prefix, self._log = config, prefix, folder / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"/ip4/{self.config['host']}/tcp/{self.config['port']}/p2p/{self.peer_id}"

    def start(self) -> None:
        self._start(self._program())

    def _start(self, program: list[str]) -> None:
        if self.process is not None:
            self.process.communicate()
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", *program],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1", "HIVEMIND_LOGLEVEL": "CRITICAL"},
            )

    def _program(self) -> list[str]:
        return ["tests.trainer.swarm.player", str(self.folder), json.dumps(self.config)]

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Ends it, with what waits to be published."""
        assert self.process is not None
        self.process.communicate(timeout=300)

    def rest(self) -> None:
        """Starts a peer in its place that publishes what it earned, and earns no more."""
        self._start([*Player._program(self), "rest"])

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def daemon(self) -> psutil.Process | None:
        assert self.process is not None
        family = psutil.Process(self.process.pid).children(recursive=True)
        return next((one for one in family if one.name() == "p2pd"), None)

    def sums(self) -> dict[RoundAndStage, float]:
        """What it earned in each stage."""
        return recount(self._log.read_text().splitlines())

    def round(self) -> int:
        return max((at.round for at in self.sums()), default=-1)


class TinyPlayer(Player):
    """A real trainer of the tiny model."""

    def _program(self) -> list[str]:
        path = self.folder / "peer.yaml"
        options = {"grpo": QUICK, "steps_per_stage": STEPS_PER_STAGE, "save_interval_seconds": 5.0}
        intervals = {"publish_interval_seconds": 0.5, "poll_interval_seconds": 0.2}
        peer = {"name": self.folder.name, "run_dir": str(self.folder), "swarm": self.config, **options, **intervals}
        path.write_text(json.dumps(peer))
        return ["trainer", "--config", str(path)]

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        super().stop()


def make_players(folder: Path, hosts: Sequence[tuple[str, Sequence[str]]], kind: type[Player] = Player) -> list[Player]:
    """A peer for each (address, command prefix); the first one leads, each further one is next in the succession."""
    ports = reserve_ports(len(hosts))
    players = []
    for number, ((host, prefix), port) in enumerate(zip(hosts, ports, strict=True)):
        (folder / str(number)).mkdir()
        players.append(kind(folder / str(number), {"host": host, "port": port, "leader": number == 0}, prefix))
    ids = [one.peer_id for one in players]
    for one in players:
        others = [other.address for other in players if other is not one]
        one.config |= {"initial_peers": others, "signed": True, "leaders": ids, "members": ids}
    return players
