"""Telegram through apprise's real plug-in, against a stand-in of the Bot API.

The alert loop runs as it does for a user. Its environment names a proxy, which answers for api.telegram.org with a
certificate of the test's own authority, so that nothing in the product or in apprise is changed.
"""

import datetime
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.alerts.conftest import AlertLoop, Sidecar
from tests.fakes import LOOPBACK, wait_for

TOKEN = "123456789:abcdefghijklmnopqrstuvwxyz_ABCDEFG"
HOST = "api.telegram.org"
# https://core.telegram.org/bots/api#html-style
TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "blockquote", "tg-spoiler"}


class BotApi:
    """Takes sendMessage as Telegram does: checks the mark-up and the length, and answers 429 when told to."""

    def __init__(self, certificate: Path) -> None:
        self.shown: list[str] = []
        self.asked_at: list[float] = []
        self.retry_after: int | None = None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                assert self.path == f"{HOST}:443"
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self.connection = context.wrap_socket(self.connection, server_side=True)
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", 0)
                self.close_connection = False

            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == f"/bot{TOKEN}/sendMessage"
                status, answer = api.take(content)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def finish(self) -> None:
                super().finish()
                self.connection.close()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def proxy(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def take(self, content: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked_at.append(time.monotonic())
        if self.retry_after is not None:
            pause, self.retry_after = self.retry_after, None
            description = f"Too Many Requests: retry after {pause}"
            answer = {"ok": False, "error_code": 429, "description": description, "parameters": {"retry_after": pause}}
            return 429, answer
        shown = _Shown()
        shown.feed(content["text"])
        shown.close()
        if content["parse_mode"] != "HTML" or shown.unknown or not 0 < len(shown.text) <= 4096:
            return 400, {"ok": False, "error_code": 400, "description": f"Bad Request: {shown.unknown}"}
        assert len(content["text"]) < 4096
        self.shown.append(shown.text)
        return 200, {"ok": True, "result": {"message_id": len(self.shown)}}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Shown(HTMLParser):
    """What a reader sees of a message in Telegram's HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.unknown: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS or attrs:
            self.unknown.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def bot_api(tmp_path: Path) -> Iterator[BotApi]:
    api = BotApi(_make_certificate(tmp_path / "telegram.pem"))
    yield api
    api.close()


def _make_certificate(path: Path) -> Path:
    """A certificate for the Bot API's name that is its own authority, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def test_names_arrive_as_typed_and_a_rate_limited_message_is_delivered_once_and_later(
    make_loop: Callable[..., AlertLoop], sidecar: Sidecar, bot_api: BotApi, tmp_path: Path
) -> None:
    peer = "sly_furry_fox <b>&amp; *[x](y)* `z` \\_ 'q' \"r\""
    loop = make_loop({peer: sidecar}, {"phone": f"tgram://{TOKEN}/4242"}, fleet="a_b <i> & c")
    loop.environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "HTTPS_PROXY": bot_api.proxy,
        "REQUESTS_CA_BUNDLE": str(tmp_path / "telegram.pem"),
    }
    bot_api.retry_after = 2
    sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
    loop.start()
    wait_for(lambda: bot_api.asked_at, 20, "the attempt that is refused")
    sidecar.serve()
    wait_for(lambda: len(bot_api.shown) == 2, 20, "the alert and its recovery")
    first, second = bot_api.shown
    assert first.startswith(f"PeerStalled: {peer}\r\nNo progress for 1 min 4")
    assert "\nFleet a_b <i> & c, severity critical" in first
    assert second.startswith(f"Recovered: PeerStalled: {peer}\r\n")
    assert bot_api.asked_at[1] - bot_api.asked_at[0] >= 2
    assert len(bot_api.asked_at) == 3
    assert "429 Too Many Requests" in loop.output()
    assert TOKEN.partition(":")[2] not in loop.output()
    assert loop.pending() == 0
