"""A certificate chain and its key, reloaded when the files change, as certificates are renewed in place."""

import socket
import ssl
from pathlib import Path


class TlsFiles:
    """Wraps connections with the newest usable pair of files."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises OSError or ssl.SSLError where they cannot be used."""
        self._cert, self._key = cert, key
        self._changed_at = self._read_times()
        self._context = self._load()

    def wrap(self, connection: socket.socket) -> ssl.SSLSocket:
        """Starts TLS; the handshake happens with the first reads. Raises OSError."""
        try:
            changed_at = self._read_times()
            if changed_at != self._changed_at:
                self._context, self._changed_at = self._load(), changed_at
        except (OSError, ssl.SSLError):
            pass  # The new pair is half written: the old one is used until both are there.
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def _read_times(self) -> tuple[int, int]:
        return self._cert.stat().st_mtime_ns, self._key.stat().st_mtime_ns

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._cert, self._key)
        return context
