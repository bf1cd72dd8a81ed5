"""Hostile clients, all of one process in one thread: slow, huge and random, and they come back when they are ended."""

import contextlib
import http.client
import random
import re
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from exporter.serving.open_files import allow_connections

HEAD = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
# How many of ten connections are of which kind.
KINDS = "ssssttthhr"
REST_SECONDS = 1.0


class _Client:
    """`s` sends a byte a second, `t` the same after one answer, `h` a huge head, `r` random bytes."""

    def __init__(self, kind: str, address: tuple[str, int], dice: random.Random) -> None:
        self._kind, self._address, self._dice = kind, address, dice
        self.socket: socket.socket | None = None
        self.due = 0.0

    def act(self, now: float, selector: selectors.BaseSelector) -> None:
        try:
            if self.socket is None:
                self.socket = socket.socket()
                self.socket.setblocking(False)
                self.socket.connect_ex(self._address)
                selector.register(self.socket, selectors.EVENT_READ, self)
                self._first = True
            else:
                self.socket.send(self._words())
        except OSError:
            self.end(selector)
        self.due = now + REST_SECONDS * self._dice.uniform(0.8, 1.2)

    def _words(self) -> bytes:
        first, self._first = self._first, False
        if self._kind == "h":
            return HEAD + b"X: " + b"y" * 12_000 if first else b"y" * 8_000
        if self._kind == "r":
            return self._dice.randbytes(self._dice.randint(1, 2000))
        return HEAD + b"\r\n" if first and self._kind == "t" else b"G"

    def end(self, selector: selectors.BaseSelector) -> None:
        if self.socket is not None:
            selector.unregister(self.socket)
            self.socket.close()
            self.socket = None


def attack(address: tuple[str, int], count: int, seed: int = 1) -> None:
    """Keeps `count` clients at it until the process is ended; says so once each has connected."""
    dice = random.Random(seed)
    selector = selectors.DefaultSelector()
    clients = [_Client(KINDS[index % len(KINDS)], address, dice) for index in range(count)]
    for index, client in enumerate(clients):
        client.due = time.monotonic() + REST_SECONDS * index / count
    told, begin = False, time.monotonic()
    while True:
        now = time.monotonic()
        for client in clients:
            if client.due <= now:
                client.act(now, selector)
        for key, _ in selector.select(0.01):
            try:
                is_ended = not key.data.socket.recv(1 << 16)
            except OSError:
                is_ended = True
            if is_ended:
                key.data.end(selector)
                key.data.due = now + REST_SECONDS * dice.uniform(0.8, 1.2)
        if not told and now > begin + 2 * REST_SECONDS:
            told = True
            print("all have connected", flush=True)


@contextlib.contextmanager
def attacking(port: int, count: int) -> Iterator[None]:
    """`attack` in a process of its own, from when all have connected."""
    command = [sys.executable, "-m", "tests.exporter.crowd", "127.0.0.1", str(port), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline()
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def sidecar(run_dir: Path) -> Iterator[tuple[int, int]]:
    """A real sidecar's process id and port."""
    command = [sys.executable, "-m", "exporter", "--run-dir", str(run_dir), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            found = None
            while not found:
                line = process.stderr.readline()
                assert line, "the sidecar ended"
                found = re.search(r":(\d+)/metrics", line)
            yield process.pid, int(found[1])
        finally:
            process.terminate()


class Scraper:
    """Scrapes alternately on a kept connection and on a new one; `seconds` are what the scrapes took."""

    def __init__(self, port: int, path: str = "/metrics") -> None:
        self._port = port
        self._path = path
        self._kept = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.seconds: list[float] = []

    def scrape(self) -> None:
        new = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(new):
            for connection in (self._kept, new):
                begin = time.perf_counter()
                answer = self._ask(connection, is_kept=connection is self._kept)
                body = answer.read()
                self.seconds.append(time.perf_counter() - begin)
                assert (answer.status, bool(body)) == (200, True)

    def _ask(self, connection: http.client.HTTPConnection, *, is_kept: bool) -> http.client.HTTPResponse:
        """On a kept connection that was closed meanwhile it asks again, as every client of HTTP does."""
        connection.request("GET", self._path)
        try:
            return connection.getresponse()
        except http.client.RemoteDisconnected:
            if not is_kept:
                raise
        connection.request("GET", self._path)
        return connection.getresponse()

    def quantile(self, share: float) -> float:
        """Seconds that this share of the scrapes took at most."""
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]

    def close(self) -> None:
        self._kept.close()


def scrape_both(attacked: int, calm: int, rounds: int, path: str = "/metrics") -> tuple[Scraper, Scraper]:
    """Scrapes of two servers by their ports, in turns, so that what else the machine does slows both."""
    pair = Scraper(attacked, path), Scraper(calm, path)
    with contextlib.ExitStack() as stack:
        for scraper in pair:
            stack.callback(scraper.close)
        for _ in range(rounds):
            for scraper in pair:
                scraper.scrape()
            time.sleep(0.003)
    return pair


if __name__ == "__main__":
    allow_connections(int(sys.argv[3]))
    attack((sys.argv[1], int(sys.argv[2])), int(sys.argv[3]))
