"""A swarm's node whose records a test decides, and the leaderboard's service on it, each a real process."""

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import msgpack

from tests.fakes import descendants, get, still_alive, wait_for
from trainer.protocol import rewards_key

# Whom Seed.earn names by one letter.
A, B, C = ("Qm" + letter * 44 for letter in "abc")


# What a node imports takes seconds: it is forked from a process that has that.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.exporter.leaderboard.publishing_peer"])


def _serve(pipe: Connection, port: int, identity: str) -> None:
    from tests.exporter.leaderboard.publishing_peer import serve

    serve(pipe, port, identity)


class Seed:
    """A real DHT node in a process of its own, whose records the test decides."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self.start()

    def start(self) -> None:
        self._pipe, theirs = _FORKS.Pipe()
        self._process = _FORKS.Process(target=_serve, args=(theirs, self._port, str(self._folder / "seed.pem")))
        self._process.start()
        theirs.close()
        self.address: str = self._pipe.recv()

    def publish(self, records: list[dict[str, Any]] | None) -> None:
        self._pipe.send(records)
        assert self._pipe.recv() == "done"

    def earn(self, number: int, stage: int, **sums: float) -> None:
        key = rewards_key(number, stage)
        rewards = [{"key": key, "subkey": "Qm" + letter * 44, "value": value} for letter, value in sums.items()]
        self.publish([place(number, stage), *rewards])

    def stop(self) -> None:
        self._pipe.close()
        self._process.join(60)
        pid = self._process.pid
        assert pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        self._process.join()


class Leaderboard:
    """`python -m exporter.leaderboard` on a configuration of the test."""

    def __init__(self, folder: Path, address: str, **settings: Any) -> None:
        self.config = folder / "leaderboard.yaml"
        content = {
            "listen": "127.0.0.1:0",
            "database": str(folder / "board.sqlite"),
            "initial_peers": [address],
            "poll_interval_seconds": 0.3,
            "names": {A: "<i>ours</i>"},
        }
        self.config.write_text(json.dumps(content | settings))
        self.start()

    @classmethod
    def of(cls, config: Path) -> "Leaderboard":
        """On a configuration that is there."""
        board = cls.__new__(cls)
        board.config = config
        board.start()
        return board

    def start(self) -> None:
        command = [sys.executable, "-m", "exporter.leaderboard", "--config", str(self.config)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        self.url = self.first_line.split()[-1]

    def get(self, path: str) -> httpx.Response:
        return get(self.url + path)

    def peer(self, peer_id: str) -> dict[str, Any]:
        answer = self.get(f"/api/peers/{peer_id}")
        return answer.json() if answer.status_code == 200 else {}

    def wait_for_cumulative(self, peer_id: str, value: float, seconds: float = 30) -> None:
        wait_for(lambda: self.peer(peer_id).get("cumulative") == value, seconds, f"{value} for {peer_id[:3]}")

    def wait_for_health(self) -> None:
        wait_for(lambda: self.get("/api/healthz").status_code == 200, 40, "healthy")

    def stop(self) -> int:
        """Ends it by SIGTERM; fails when it leaves a process behind."""
        family = descendants(self.process.pid)
        self.process.terminate()
        self.output = self.process.communicate(timeout=60)[0]
        wait_for(lambda: not still_alive(family), 2, f"no process left: {still_alive(family)}")
        return self.process.returncode


def place(number: int, stage: int) -> dict[str, Any]:
    return {"key": "rl_swarm_rs", "value": [number, stage], "lives": 4 * 3600 + time.time() % 1000}


def raw(value: Any) -> str:
    return bytes(msgpack.packb(value)).hex()
