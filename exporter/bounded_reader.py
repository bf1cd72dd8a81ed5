"""Reads from a socket until a deadline and up to a size, however the other side spreads its bytes.

A socket's own time-out starts anew with each byte: one byte per second would hold its reader for hours.
"""

import io
import socket
import time
from typing import Any


class BoundedReader(io.RawIOBase):
    """What `allow` permits, then TimeoutError; the size is that of what was received, before any decoding."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = 0.0
        self._bytes_left = 0

    def allow(self, *, seconds: float, max_bytes: int) -> None:
        """Permits to read for so long and so much from now on."""
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
