"""Reads from a socket until a deadline and up to a size limit, however slowly the other side sends.

A socket's own time-out restarts with each byte: one byte per second would block its reader for hours.
"""

import io
import socket
import time
from typing import Any


class BoundedReader(io.RawIOBase):
    """Reads what `allow` permits, then raises TimeoutError; the size counts received bytes, before any decoding."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = 0.0
        self._bytes_left = 0

    def allow(self, *, seconds: float, max_bytes: int) -> None:
        """Sets the deadline and the size limit, from now on."""
        self._deadline = time.monotonic() + seconds
        self._bytes_left = max_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0 or self._bytes_left <= 0:
            raise TimeoutError("too slow or too large")
        self._connection.settimeout(seconds)
        count = self._connection.recv_into(memoryview(buffer)[: self._bytes_left])
        self._bytes_left -= count
        return count
