"""Debian's Prometheus and Alertmanager as processes, and a receiver of Alertmanager's notifications."""

import json
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.fakes import LOOPBACK, get, reserve_ports, wait_for
from tests.programs import require


class Hook:
    """A real HTTP receiver of what Alertmanager posts; `messages` as they came."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"json://{LOOPBACK}:{self._server.server_address[1]}"

    def notified(self, receiver: str, status: str) -> list[set[tuple[str, str]]]:
        """For each message to the receiver, its (rule, peer) pairs that fire, or are resolved."""
        found = []
        for message in self.messages:
            if message["receiver"] == receiver:
                labels = [alert["labels"] for alert in message["alerts"] if alert["status"] == status]
                found.append({(one["alertname"], one.get("peer", "")) for one in labels})
        return [pairs for pairs in found if pairs]

    def all_notified(self, receiver: str, status: str = "firing") -> set[tuple[str, str]]:
        return set().union(*self.notified(receiver, status))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Server:
    """A process with an HTTP address, which is ready once it answers."""

    command: list[str]
    port: int
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)
        wait_for(self._is_ready, 60, f"{self.command[0]} answers; its log: {self.log}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=90)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-3000:]
        try:
            return get(f"{self.url}/-/ready", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False


def alertmanager(folder: Path, configuration: str) -> Server:
    """An Alertmanager of its own, without a cluster."""
    path = folder / "alertmanager.yaml"
    path.write_text(configuration)
    port = reserve_ports(1)[0]
    command = [
        require("prometheus-alertmanager"),
        f"--config.file={path}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--cluster.listen-address=",
    ]
    return Server(command, port, folder / "alertmanager.log")


def prometheus(folder: Path, configuration: Mapping[str, Any], rules: str) -> Server:
    """A Prometheus whose configuration may name rules.yaml."""
    (folder / "rules.yaml").write_text(rules)
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(dict(configuration)))
    port = reserve_ports(1)[0]
    command = [
        require("prometheus"),
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--log.level=warn",
    ]
    return Server(command, port, folder / "prometheus.log")
