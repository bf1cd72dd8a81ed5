"""Serves the sidecar's answers over HTTP/1.1, to all connections from one thread, so that a slow one occupies none.

`Limits` says how many connections there may be, how long each may keep the server waiting, and how many bytes of
unfinished requests are kept. Where one more does not fit, `exporter.serving.give_way` says which goes.
"""

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, Self

from exporter.page.answers import Answer
from exporter.page.http_request import MAX_HEAD_BYTES, BadRequestError, Request, find_end, parse
from exporter.page.tls_files import TlsFiles
from exporter.serving.give_way import (
    ACCEPTED_AT_ONCE,
    BACKLOG,
    IDLE_SECONDS,
    MAX_CONNECTIONS,
    REQUEST_SECONDS,
    Connections,
)

# OpenSSL keeps some 40 kB for a handshake under way.
MAX_TLS_CONNECTIONS = 256
MAX_UNFINISHED_BYTES = 1 << 20
# Connections read between two looks at those that are known: what a scrape may wait for.
READ_AT_ONCE = 32
# How long no connection is accepted after the system had no file for one.
NO_FILES_PAUSE_SECONDS = 0.1

_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Limits(NamedTuple):
    """What clients can occupy; seconds of a whole request or answer, and between two requests."""

    connections: int = MAX_CONNECTIONS
    request_seconds: float = REQUEST_SECONDS
    idle_seconds: float = IDLE_SECONDS
    unfinished_bytes: int = MAX_UNFINISHED_BYTES


DEFAULT_LIMITS = Limits()


class _Connection:
    """One client: what it has sent of its next request, and what it has not read of its last answer."""

    __slots__ = ("answered", "events", "file", "keeps_alive", "read_at", "received", "searched", "socket", "unsent")

    def __init__(self, connection: socket.socket, now: float) -> None:
        self.socket = connection
        self.file = connection.fileno()
        self.events = selectors.EVENT_READ
        self.received = bytearray()
        self.searched = 0
        self.unsent = memoryview(b"")
        self.keeps_alive = True
        self.answered = False
        self.read_at = now


class Server:
    """Listens from the start; raises OSError where the address cannot be bound."""

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[Request], Answer],
        *,
        tls: TlsFiles | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._listener = _listen(address)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._answer = answer
        self._tls = tls
        most = limits.connections if tls is None else min(limits.connections, MAX_TLS_CONNECTIONS)
        self._limits = limits._replace(connections=most)
        self._connections: Connections[_Connection] = Connections()
        # Those of which more is here than the system knows: in a buffer of ours, or of OpenSSL.
        self._unread: dict[_Connection, None] = {}
        self._unfinished_bytes = 0
        self._accepts_from = 0.0
        self._wake, self._waker = socket.socketpair()
        self._is_stopping = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends `serve_forever`, from any thread."""
        self._is_stopping = True
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def serve_forever(self) -> None:
        """Serves until `stop`, then closes everything."""
        while not self._is_stopping:
            self._serve_once()
        for one in self._connections:
            self._close(one)
        for used in (self._listener, self._wake, self._waker):
            used.close()
        self._selector.close()

    def _serve_once(self) -> None:
        ready: dict[_Connection, None] = dict(self._unread)
        is_asked = False
        for key, _ in self._selector.select(self._seconds_to_wait()):
            if isinstance(key.data, _Connection):
                ready[key.data] = None
            else:
                is_asked |= key.fileobj is self._listener
        now = time.monotonic()
        # Scrapers that were here before come first, and nobody is passed over twice for the same others.
        for one in sorted(ready, key=lambda one: (not one.answered, one.read_at))[:READ_AT_ONCE]:
            self._continue(one, now)
        for one in self._connections.overdue(now, self._limits.request_seconds, self._limits.idle_seconds):
            self._close(one)
        if is_asked:
            self._accept(now)

    def _seconds_to_wait(self) -> float | None:
        now = time.monotonic()
        if self._unread:
            return 0.0
        seconds = self._connections.seconds_left(now, self._limits.request_seconds, self._limits.idle_seconds)
        if self._accepts_from:
            if now < self._accepts_from:
                return min(self._accepts_from - now, seconds if seconds is not None else self._accepts_from - now)
            self._accepts_from = 0.0
            self._selector.register(self._listener, selectors.EVENT_READ)
        return seconds

    def _accept(self, now: float) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no file is left
                self._give_way()
                self._selector.unregister(self._listener)
                self._accepts_from = now + NO_FILES_PAUSE_SECONDS
                return
            while len(self._connections) >= self._limits.connections:
                self._give_way()
            self._welcome(connection, now)

    def _welcome(self, connection: socket.socket, now: float) -> None:
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one = _Connection(self._tls.wrap(connection) if self._tls else connection, now)
        except OSError:  # the client has gone
            connection.close()
            return
        self._connections.wait(one, now)
        self._selector.register(one.file, one.events, one)
        self._continue(one, now)

    def _give_way(self) -> None:
        chosen = self._connections.choose()
        if chosen is not None:
            self._close(chosen)

    def _continue(self, one: _Connection, now: float) -> None:
        """Sends or reads what can be without waiting."""
        if one.file < 0:
            return
        one.read_at = now
        self._unread.pop(one, None)
        try:
            if one.unsent:
                self._send(one, now)
            else:
                self._read(one, now)
        except _WOULD_BLOCK as blocked:
            # A handshake may have to write before it can read on.
            is_writing = bool(one.unsent) or isinstance(blocked, ssl.SSLWantWriteError)
            self._await(one, selectors.EVENT_WRITE if is_writing else selectors.EVENT_READ)
        except OSError:
            self._close(one)

    def _await(self, one: _Connection, events: int) -> None:
        if one.events != events:
            one.events = events
            self._selector.modify(one.file, events, one)

    def _read(self, one: _Connection, now: float) -> None:
        if one.searched == len(one.received):
            content = one.socket.recv(MAX_HEAD_BYTES)
            if not content:
                self._close(one)
                return
            one.received += content
            self._unfinished_bytes += len(content)
            self._connections.wait(one, now)
        end = find_end(one.received, one.searched)
        if end >= 0 or len(one.received) > MAX_HEAD_BYTES:
            self._take_request(one, end, now)
            return
        one.searched = len(one.received)
        if isinstance(one.socket, ssl.SSLSocket) and one.socket.pending():
            self._unread[one] = None
        while self._unfinished_bytes > self._limits.unfinished_bytes:
            self._give_way()

    def _take_request(self, one: _Connection, end: int, now: float) -> None:
        """Answers the request whose head has this end; a negative one if it has none within its limit."""
        try:
            if not 0 <= end <= MAX_HEAD_BYTES:
                raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            request = parse(bytes(one.received[:end]))
        except BadRequestError as error:
            end, one.keeps_alive, with_body = len(one.received), False, True
            answer = Answer(error.status, f"{error}\n".encode())
        else:
            one.keeps_alive, with_body = request.keeps_alive, request.method != "HEAD"
            answer = self._answer(request)
        del one.received[:end]
        self._unfinished_bytes -= end
        one.searched = 0
        one.unsent = memoryview(answer.encode(with_body=with_body, keeps_alive=one.keeps_alive))
        # Its wait for the request is over; that for its reading begins.
        self._connections.forget(one)
        self._connections.wait(one, now)
        self._send(one, now)

    def _send(self, one: _Connection, now: float) -> None:
        while one.unsent:
            one.unsent = one.unsent[one.socket.send(one.unsent) :]
        one.answered = True
        if not one.keeps_alive:
            # What is left unread would reset the connection before the answer is read.
            with contextlib.suppress(OSError):
                one.socket.recv(MAX_HEAD_BYTES)
            self._close(one)
            return
        self._await(one, selectors.EVENT_READ)
        if one.received or (isinstance(one.socket, ssl.SSLSocket) and one.socket.pending()):
            self._unread[one] = None
            self._connections.forget(one)
            self._connections.wait(one, now)
        else:
            self._connections.rest(one, now)

    def _close(self, one: _Connection) -> None:
        self._connections.forget(one)
        self._unread.pop(one, None)
        self._unfinished_bytes -= len(one.received)
        one.received.clear()
        self._selector.unregister(one.file)
        one.file = -1
        one.socket.close()


def _listen(address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
