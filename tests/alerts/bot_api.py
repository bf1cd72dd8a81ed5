"""A stand-in of Telegram's Bot API, reached as the real one is: through a proxy, under its name, by TLS."""

import datetime
import json
import os
import ssl
import threading
import time
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes import LOOPBACK

TOKEN = "123456789:abcdefghijklmnopqrstuvwxyz_ABCDEFG"
HOST = "api.telegram.org"
# https://core.telegram.org/bots/api#html-style
TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "blockquote", "tg-spoiler"}


class BotApi:
    """Takes messages as Telegram does: checks the mark-up and the length, and answers 429 when a test asks for it.

    `updates` are what a poll gets, by their numbers; `poll_status` other than 200 refuses polls.
    """

    def __init__(self, certificate: Path) -> None:
        self.shown: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.photos: list[bytes] = []
        self.asked_at: list[float] = []
        self.offsets: list[int | None] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.retry_after: int | None = None
        self.poll_status = 200
        self._updates: list[dict[str, Any]] = []
        self._updated = threading.Condition()
        self._is_closed = False
        self._certificate = make_certificate(certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
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
                body = self.rfile.read(int(self.headers["Content-Length"]))
                prefix, _, method = self.path.rpartition("/")
                assert prefix == f"/bot{TOKEN}"
                if method.lower() == "sendphoto":
                    api.photos.append(body)
                    status, answer = 200, {"ok": True, "result": {}}
                else:
                    status, answer = api.answer(method, json.loads(body))
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

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # The loop has closed the connection.

        self._server = Server((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with the way to the stand-in."""
        return {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            "HTTPS_PROXY": f"http://{LOOPBACK}:{self._server.server_address[1]}",
            "REQUESTS_CA_BUNDLE": str(self._certificate),
            "SSL_CERT_FILE": str(self._certificate),
        }

    def answer(self, method: str, content: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if method == "getUpdates":
            return self._poll(content)
        if method == "sendMessage":
            return self._take(content)
        self.calls.append((method, content))
        return 200, {"ok": True, "result": True}

    def say(self, text: str, chat: int = 4242, *, age: float = 0) -> None:
        """Somebody writes to the bot."""
        self._add({"message": {"chat": {"id": chat}, "text": text, "date": int(time.time() - age)}})

    def press(self, data: str, chat: int = 4242) -> None:
        """Somebody presses a button."""
        self._add({"callback_query": {"id": "7", "data": data, "message": {"chat": {"id": chat}, "date": 0}}})

    def close(self) -> None:
        with self._updated:
            self._is_closed = True
            self._updated.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _add(self, update: dict[str, Any]) -> None:
        with self._updated:
            number = self._updates[-1]["update_id"] + 1 if self._updates else 1_000
            self._updates.append({"update_id": number, **update})
            self._updated.notify_all()

    def _poll(self, content: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        offset = content.get("offset")
        self.offsets.append(offset)
        if self.poll_status != 200:
            return self.poll_status, {"ok": False, "error_code": self.poll_status, "description": "Conflict: x"}
        with self._updated:
            found: list[dict[str, Any]] = []
            end = time.monotonic() + min(content["timeout"], 2)
            while not found and not self._is_closed and time.monotonic() < end:
                found = [one for one in self._updates if offset is None or one["update_id"] >= offset]
                if not found:
                    self._updated.wait(0.5)
        return 200, {"ok": True, "result": found[: content["limit"]]}

    def _take(self, content: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked_at.append(time.monotonic())
        if self.retry_after is not None:
            pause, self.retry_after = self.retry_after, None
            description = f"Too Many Requests: retry after {pause}"
            answer = {"ok": False, "error_code": 429, "description": description, "parameters": {"retry_after": pause}}
            return 429, answer
        shown = _Shown()
        if content.get("parse_mode") == "HTML":
            shown.feed(content["text"])
            shown.close()
        else:
            shown.text = content["text"]
        if shown.unknown or not 0 < len(shown.text) <= 4096:
            return 400, {"ok": False, "error_code": 400, "description": f"Bad Request: {shown.unknown}"}
        assert len(content["text"]) < 4096
        self.shown.append(shown.text)
        self.sent.append(content)
        return 200, {"ok": True, "result": {"message_id": len(self.shown)}}


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


def make_certificate(path: Path, *names: str) -> Path:
    """A certificate for these names (the Bot API's) that is its own authority, with its key, in one file."""
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
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names or (HOST,)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
