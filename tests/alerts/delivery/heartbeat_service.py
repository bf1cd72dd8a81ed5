"""A service that takes heartbeats at a secret address, or refuses them."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.fakes import LOOPBACK

SECRET = "hunter2-hunter2"


class Service:
    """Counts the requests for its secret address."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b"OK"
        self.location = ""
        self.pings = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_ping = self.path == f"/{SECRET}"
                service.pings += is_ping
                self.send_response(service.status if is_ping else 200)
                if is_ping and service.location:
                    self.send_header("Location", service.location)
                self.end_headers()
                self.wfile.write(service.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}/{SECRET}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
