"""Passwords as people have them reach a mail server and a webhook as they are, and reach nothing else."""

import base64
import logging
import socket
import socketserver
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from alerts.delivery.apprise_sender import Sender
from alerts.messages.single import Message
from alerts.secret_references import resolve_url

PASSWORDS = (
    "plain0word",
    "p@ssword1",
    "p%40word2",
    "100%sure3",
    "a/b?c4xyz",
    "hash#word5",
    "semi;col6",
    "amp&word7",
    "colon:wd8",
    "pl+us wd9",
    "dollar$wd",
    "quote\"'wd",
    "pässwörd!",
    "密码🔑lock",
    "://@host/",
    "${OTHER}ab",
    "comma,wd12",
    "[::1]:9xyz",
    "back\\slash",
    "%%25%2525a",
)


class MailServer(socketserver.ThreadingTCPServer):
    """Takes mail after a log-in, and keeps the (name, password) of each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MailSession)
        self.logins: list[tuple[str, str]] = []
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _MailSession(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline():
            command = line.decode().strip()
            verb = command.partition(" ")[0].upper()
            if verb == "EHLO":
                self._say("250-here\r\n250 AUTH PLAIN")
            elif verb == "AUTH":
                _, user, password = base64.b64decode(command.split()[2]).decode().split("\0")
                self.server.logins.append((user, password))
                self._say("235 welcome")
            elif verb == "DATA":
                self._say("354 go on")
                while self.rfile.readline() != b".\r\n":
                    pass
                self._say("250 taken")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def webhook() -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """The port, and the (Authorization, path) of each request."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.headers.get("Authorization", ""), self.path))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], seen
    server.shutdown()
    server.server_close()


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every host name that is looked up."""
    names: list[str] = []
    look_up = socket.getaddrinfo

    def record(host: Any, *arguments: Any, **options: Any) -> Any:
        names.append(str(host))
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", record)
    return names


def _send(url: str) -> bool:
    sender = Sender({"a": url})
    return sender.send("a", Message("title", "body")).accepted


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_reaches_the_mail_server_as_it_is(
    mail: MailServer, looked_up: list[str], caplog: pytest.LogCaptureFixture, password: str
) -> None:
    caplog.set_level(logging.DEBUG)
    text = f"mailto://${{MAIL_USER}}:${{MAIL_PASSWORD}}@127.0.0.1:{mail.port}/?from=a@b.example&to=c@d.example&mode=insecure"
    assert _send(resolve_url(text, {"MAIL_USER": "me@b.example", "MAIL_PASSWORD": password}))
    assert mail.logins[-1] == ("me@b.example", password)
    assert set(looked_up) <= {"127.0.0.1", "localhost", socket.gethostname(), socket.getfqdn()}
    assert password not in caplog.text


@pytest.mark.parametrize("secret", PASSWORDS)
def test_a_secret_reaches_a_webhook_as_it_is(
    webhook: tuple[int, list[tuple[str, str]]], looked_up: list[str], secret: str
) -> None:
    port, seen = webhook
    url = resolve_url(f"json://me:${{X}}@127.0.0.1:{port}/hook?:k=${{X}}", {"X": secret})
    assert _send(url)
    authorization, _ = seen[-1]
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == f"me:{secret}"
    assert set(looked_up) <= {"127.0.0.1", "localhost"}
