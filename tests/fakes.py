"""Small real servers that the tests deliver to, and what watches processes from outside."""

import contextlib
import itertools
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import httpx
import psutil
from aiosmtpd.controller import Controller

LOOPBACK = "127.0.0.1"
# How much longer than on an idle machine anything may take; `make bench` measures times.
PATIENCE = 6
_FIRST_PAUSE_SECONDS = 0.05
Seen = TypeVar("Seen")

# Below the ephemeral ports of Linux and macOS; each test worker has its own range.
_FIRST_PORT, _PORTS_OF_A_WORKER = 12000, 2000
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_places = itertools.count(os.getpid())

# Loading the certificates of all authorities for each request would take longer than the request.
_TLS = ssl.create_default_context()


def reserve_ports(count: int) -> list[int]:
    """Ports that nothing listens on now, distinct, for programs that need their port beforehand."""
    ports: list[int] = []
    while len(ports) < count:
        port = _FIRST_PORT + _WORKER % 8 * _PORTS_OF_A_WORKER + next(_places) % _PORTS_OF_A_WORKER
        if port not in ports and is_free(port):
            ports.append(port)
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of this machine's loopback."""
    with socket.socket() as probe:
        # As servers do: a port whose last connection has just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


def get(url: str, **options: Any) -> httpx.Response:
    """Asks a server of this machine; `options` are those of `httpx.get`."""
    return httpx.get(url, **{"timeout": 30, "trust_env": False, "verify": _TLS, **options})


def wait_for(check: Callable[[], Seen], seconds: float, what: str, every: float = 0.5) -> Seen:
    """What `check` returns once it is truthy; raises AssertionError naming `what`.

    `seconds` are those of an idle machine; a busy one has `PATIENCE` times as many. It is checked again soon at first,
    as much is there at once, and then `every` so many seconds: a check costs both processes time.
    """
    limit = PATIENCE * seconds
    deadline = time.monotonic() + limit
    pause = min(_FIRST_PAUSE_SECONDS, every)
    while True:
        seen = check()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"not within {limit:g} s: {what}"
        time.sleep(pause)
        pause = min(1.5 * pause, every)


@dataclass(frozen=True)
class Message:
    """One accepted notification: its title and its plain body."""

    title: str
    body: str

    def says(self, *words: str) -> bool:
        return all(word in f"{self.title}\n{self.body}" for word in words)


@dataclass
class Mailbox:
    """A real SMTP server; `stop` and `start` again on the same port stand for a mail server that is down."""

    port: int
    messages: list[Message] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    attachments: list[list[tuple[str, bytes]]] = field(default_factory=list)
    _controller: Controller | None = None

    def start(self) -> None:
        self._controller = Controller(self, hostname=LOOPBACK, port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        part = mail.get_body(preferencelist=("plain", "html"))
        self.attachments.append([(one.get_filename() or "", one.get_content()) for one in mail.iter_attachments()])
        html = mail.get_body(preferencelist=("html",))
        self.html.append(html.get_content() if html else "")
        self.messages.append(Message(str(mail["subject"]), part.get_content() if part else ""))
        return "250 OK"

    @property
    def url(self) -> str:
        return f"mailto://{LOOPBACK}:{self.port}?from=peerwatch@example.org&to=operator@example.org&mode=insecure"


class Webhook:
    """A real HTTP receiver of apprise's json:// notifications."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.messages.append(Message(content["title"], content["message"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"json://{LOOPBACK}:{self._server.server_address[1]}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def arguments_of(process: psutil.Process) -> list[str]:
    """Its command line; empty once it is gone, as a short one among many may be at any time."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def name_of(process: psutil.Process) -> str:
    """Its name; empty once it is gone."""
    with contextlib.suppress(psutil.Error):
        return process.name()
    return ""


def still_alive(processes: list[psutil.Process]) -> list[str]:
    """What of `processes` still runs, as text for a failure message; the dead and the zombies left out."""
    alive = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(f"{process.pid} {' '.join(process.cmdline())[:120]}")
        except psutil.NoSuchProcess:
            continue
    return alive
