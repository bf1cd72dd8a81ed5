"""A watcher of few words: a real HTTPS server that answers each request as a test says, and keeps what it was sent."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.certificates import write_certificate
from tests.fakes import LOOPBACK


@dataclass
class TlsWatcher:
    """Its address, certificate and next answer; the path, the login's header and the body of each request."""

    certificate: Path
    url: str = ""
    status: int = 201
    answer: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)

    def write_token(self, path: Path) -> Path:
        """The file with which machines join."""
        path.write_text("t" * 43 + "\n" + self.certificate.read_text())
        return path


@contextmanager
def tls_watcher(folder: Path) -> Iterator[TlsWatcher]:
    certificate, key = write_certificate(folder)
    watcher = TlsWatcher(certificate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            watcher.requests.append((self.path, self.headers["Authorization"], body))
            content = json.dumps(watcher.answer).encode()
            self.send_response(watcher.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    watcher.url = f"https://{LOOPBACK}:{server.server_address[1]}"
    try:
        yield watcher
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
