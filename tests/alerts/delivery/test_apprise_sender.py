"""Sending through apprise: what an error message may hold, and what it must not."""

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alerts.delivery.apprise_sender import RouteError, Sender, explain
from alerts.delivery.attempt import Attempt
from alerts.delivery.outcome import DeliveryResult
from alerts.messages.single import Message
from tests.fakes import LOOPBACK, Mailbox, Webhook, reserve_ports

# The first use of apprise loads all its plug-ins; one of them imports imghdr, which Python 3.11 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
TOKEN = "hunter2-hunter2-hunter2"


@pytest.fixture
def refusing() -> Iterator[str]:
    """A web server that answers every message with 403 and a body that repeats the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(403)
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"{LOOPBACK}:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_message_arrives_as_typed_by_mail_and_by_webhook() -> None:
    webhook, mailbox = Webhook(), Mailbox(reserve_ports(1)[0])
    mailbox.start()
    try:
        sender = Sender({"hook": webhook.url, "mail": mailbox.url})
        title, body = "PeerDown: sly_fox <b>&amp; *x*", "one <i>_two_</i> & three\nsecond line ✓ :smile: ${HOME} \\n"
        assert sender.send("hook", Message(title, body)) == DeliveryResult(True)
        assert sender.send("mail", Message(title, body)) == DeliveryResult(True)
        for message in (webhook.messages[0], mailbox.messages[0]):
            assert message.title == title
            assert message.body.replace("\r\n", "\n").rstrip("\n") == body
    finally:
        webhook.close()
        mailbox.stop()


def test_a_refusal_is_reported_by_its_status_and_nothing_of_the_url_is_logged(
    refusing: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        sender = Sender({"hook": f"json://user:{TOKEN}@{refusing}/{TOKEN}"})
        outcome = sender.send("hook", Message("title", "body"))
    assert outcome.reason == "the service answered 403 Forbidden: /***"
    assert outcome.is_permanent
    assert TOKEN not in caplog.text
    assert TOKEN not in "".join(capfd.readouterr())
    assert TOKEN in sender.secrets


def test_optional_in_a_url_does_not_turn_a_failure_into_a_success(refusing: str) -> None:
    assert not Sender({"hook": f"json://{refusing}/?optional=yes"}).send("hook", Message("title", "body")).accepted


def test_a_closed_port_is_reported_as_connection_refused() -> None:
    port = reserve_ports(1)[0]
    sender = Sender({"hook": f"json://{LOOPBACK}:{port}/", "mail": Mailbox(port).url})
    assert sender.send("hook", Message("title", "body")) == DeliveryResult(False, "connection refused")
    assert sender.send("mail", Message("title", "body")) == DeliveryResult(False, "connection refused")


@pytest.mark.parametrize(
    "url", ["", "nonsense", f"nosuchservice://{TOKEN}", f"tgram://{TOKEN}", "https://example.org/"]
)
def test_a_url_that_apprise_does_not_understand_is_named_by_its_route_only(url: str) -> None:
    with pytest.raises(RouteError, match="route phone: ") as raised:
        Sender({"phone": url})
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("record", "reason", "is_permanent"),
    [
        ("Socket Exception: timed out", "timed out", False),
        (
            "Socket Exception: (535, b'5.7.8 Authentication failed')",
            "login refused: 535 5.7.8 Authentication failed",
            True,
        ),
        (
            "Socket Exception: {'op@example.org': (550, b'5.1.1 No such user\\r\\nhere')}",
            "the mail server refused the message: 550 5.1.1 No such user  here",
            True,
        ),
        (
            'Socket Exception: (451, b"4.7.1 Greylisted, don\'t worry")',
            "the mail server refused the message: 451 4.7.1 Greylisted, don't worry",
            False,
        ),
        ("https://secret", "the service did not accept the message", False),
    ],
)
def test_apprises_log_of_an_attempt_becomes_our_own_error_message(record: str, reason: str, is_permanent: bool) -> None:
    result = explain("email", Attempt([record]), accepted=False)
    assert (result.reason, result.is_permanent) == (reason, is_permanent)


def test_the_mail_servers_words_are_told() -> None:
    class Refusing(Mailbox):
        async def handle_DATA(self, *_: object) -> str:
            return "554 5.7.1 Rejected: password=hunter2 \u202e spam"

    mailbox = Refusing(reserve_ports(1)[0])
    mailbox.start()
    try:
        outcome = Sender({"mail": mailbox.url}).send("mail", Message("title", "body"))
    finally:
        mailbox.stop()
    assert outcome.reason.startswith("the mail server refused the message: 554 5.7.1 Rejected: password=***")
    assert outcome.reason.isprintable()
