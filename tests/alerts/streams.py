"""Readers of the status page's stream: browsers, and worse ones."""

import json
import selectors
import socket
import threading
from typing import Any, Self
from urllib.parse import urlsplit

REQUEST = "GET /api/stream{} HTTP/1.1\r\nHost: {}\r\n\r\n"


class Reader:
    """A connection that asks for the stream; it reads only on demand."""

    def __init__(self, address: str, mark: str = "", receive_buffer: int | None = None) -> None:
        url = urlsplit(address)
        assert url.hostname
        assert url.port
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(90)
        self._socket.connect((url.hostname, url.port))
        query = f"?mark={mark}" if mark else ""
        self._socket.sendall(REQUEST.format(query, url.netloc).encode())
        self._file = self._socket.makefile("rb")

    def status(self) -> int:
        """The answer's status; its headers are passed over."""
        status = int(self._file.readline().split()[1])
        while self._file.readline().strip():
            pass
        return status

    def event(self) -> tuple[str, str, dict[str, Any]]:
        """The next event: its name, its mark, its data. The chunks' sizes are lines of their own."""
        name = mark = ""
        data = b""
        while True:
            size = int(self._file.readline(), 16)
            assert size, "the stream has ended"
            piece = data + self._file.read(size)
            self._file.readline()
            if not piece.endswith(b"\n\n"):
                data = piece
                continue
            for line in piece.splitlines():
                key, _, value = line.partition(b": ")
                if key == b"event":
                    name = value.decode()
                elif key == b"id":
                    mark = value.decode()
                elif key == b"data":
                    return name, mark, json.loads(value)
            data = b""

    def is_cut(self) -> bool:
        """Whether the server has dropped the connection; whatever came before is read away."""
        try:
            while self._socket.recv(1 << 20):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Crowd:
    """Many readers that take all they are sent, as browsers do, in a thread of their own."""

    def __init__(self, address: str, count: int) -> None:
        url = urlsplit(address)
        self._selector = selectors.DefaultSelector()
        self._received: dict[socket.socket, int] = {}
        for _ in range(count):
            reader = socket.create_connection((url.hostname or "", url.port or 0), timeout=90)
            reader.sendall(REQUEST.format("", url.netloc).encode())
            reader.setblocking(False)
            self._selector.register(reader, selectors.EVENT_READ)
            self._received[reader] = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._selector.close()
        for reader in self._received:
            reader.close()

    def answered(self) -> int:
        """How many were sent more than an answer's head."""
        return sum(count > 1000 for count in self._received.values())

    def received(self) -> int:
        """Bytes of all of them together."""
        return sum(self._received.values())

    def _read(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(timeout=0.1):
                reader = key.fileobj
                assert isinstance(reader, socket.socket)
                content = reader.recv(1 << 16)
                self._received[reader] += len(content)
                if not content:
                    self._selector.unregister(reader)
