"""A server on loopback that answers as a test says, path by path, and with a page for any other path."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PAGE = b"<!doctype html><title>swarm</title>"


class Raw:
    """An answer that is not JSON: its bytes, over and over where `times` says so, slowly where `pause_seconds` does."""

    def __init__(
        self, body: bytes, *, status: int = 200, kind: str = "text/html", times: int = 1, pause_seconds: float = 0.0
    ) -> None:
        self.body, self.status, self.kind = body, status, kind
        self.times, self.pause_seconds = times, pause_seconds


class JsonServer:
    """`answers` is {path, with a query where one matters: JSON, or Raw}; `asked` are the paths so far."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.others = Raw(PAGE)
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked.append(self.path)
                answer = service.answers.get(self.path, service.answers.get(urlsplit(self.path).path, service.others))
                if not isinstance(answer, Raw):
                    answer = Raw(json.dumps(answer).encode(), kind="application/json; charset=utf-8")
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.end_headers()
                # A client that has had enough closes its end.
                with contextlib.suppress(OSError):
                    for _ in range(answer.times):
                        self.wfile.write(answer.body)
                        time.sleep(answer.pause_seconds)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
