"""A signed swarm of peers without models, each in a process of its own, which can be killed and started again."""

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
from trainer.swarm.identity import ensure_identity


class Player:
    """One peer: its process, and what the swarm accepted of it, over all its runs."""

    def __init__(self, folder: Path, config: dict[str, Any], prefix: Sequence[str]) -> None:
        self.folder, self.peer_id = folder, ensure_identity(folder / "identity.pem")
        self.config, self._prefix, self._log = config, prefix, folder / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"/ip4/{self.config['host']}/tcp/{self.config['port']}/p2p/{self.peer_id}"

    def start(self) -> None:
        command = [*self._prefix, sys.executable, "-m", "tests.trainer.swarm.player", str(self.folder)]
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                [*command, json.dumps(self.config)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1", "HIVEMIND_LOGLEVEL": "CRITICAL"},
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def daemon(self) -> psutil.Process | None:
        assert self.process is not None
        family = psutil.Process(self.process.pid).children(recursive=True)
        return next((one for one in family if one.name() == "p2pd"), None)

    def accepted(self) -> dict[tuple[int, int], float]:
        """The highest sum of each stage that the swarm accepted."""
        sums: dict[tuple[int, int], float] = {}
        for line in self._log.read_text().splitlines():
            if line.startswith("[") and line.endswith("]"):
                number, stage, reward = json.loads(line)
                sums[number, stage] = max(reward, sums.get((number, stage), 0.0))
        return sums

    def round(self) -> int:
        return max((number for number, _ in self.accepted()), default=-1)


def make_players(folder: Path, hosts: Sequence[tuple[str, Sequence[str]]]) -> list[Player]:
    """A peer for each (address, command prefix); the first one leads, each further one is next in the succession."""
    ports = reserve_ports(len(hosts))
    players = []
    for number, ((host, prefix), port) in enumerate(zip(hosts, ports, strict=True)):
        (folder / str(number)).mkdir()
        players.append(Player(folder / str(number), {"host": host, "port": port, "leader": number == 0}, prefix))
    ids = [one.peer_id for one in players]
    for one in players:
        others = [other.address for other in players if other is not one]
        one.config |= {"initial_peers": others, "signed": True, "leaders": ids, "members": ids}
    return players
