"""The page is served as HTTP specifies, and no client can occupy more than its share."""

import base64
import contextlib
import gzip
import http.client
import socket
import ssl
import threading
import time

import pytest

from exporter import server as server_module
from exporter.server import Server, TlsFiles, accepts_gzip
from exporter.snapshot import Page

PLAIN = b"trainer_up 1.0\n" * 1000


@contextlib.contextmanager
def serving(*, rendered_seconds_ago=0.0, **options):
    page = Page(PLAIN, gzip.compress(PLAIN), time.monotonic() - rendered_seconds_ago)
    with Server(("127.0.0.1", 0), lambda: page, stale_after_seconds=30.0, **options) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@pytest.fixture
def port():
    with serving() as port:
        yield port


def ask(port, path="/metrics", method="GET", connection=None, **headers):
    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer, answer.read()


def talk(port, sent):
    """The server's answer to raw bytes, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
        return received


def test_the_page_is_sent_plain_with_the_type_of_the_text_format(port):
    answer, body = ask(port)
    assert (answer.status, body) == (200, PLAIN)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_the_page_is_sent_compressed_to_whom_accepts_it(port):
    answer, body = ask(port, Accept_Encoding="deflate, gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == PLAIN


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=1.0", True),
        ("*", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("xgzip", False),
    ],
)
def test_gzip_is_negotiated(header, accepted):
    assert accepts_gzip(header) is accepted


def test_head_sends_the_head_of_get(port):
    answer, body = ask(port, method="HEAD")
    assert (answer.status, body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(PLAIN))


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/-/healthy", 200), ("/metrics?x=1", 200), ("/metric", 404)])
def test_each_path_has_its_answer(port, path, status):
    assert ask(port, path)[0].status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(port, method):
    answer, _ = ask(port, method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_a_connection_serves_many_scrapes(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        for _ in range(3):
            connection.request("GET", "/metrics")
            assert connection.getresponse().read() == PLAIN
            socket_used = connection.sock
        assert connection.sock is socket_used


def test_an_old_page_is_not_served():
    with serving(rendered_seconds_ago=31.0) as port:
        assert ask(port)[0].status == 503
        assert ask(port, "/-/healthy")[0].status == 503


# Hostile clients


def test_a_body_is_not_taken_for_the_next_request(port):
    smuggled = b"GET /metrics HTTP/1.1\r\nContent-Length: 27\r\n\r\nGET /secret HTTP/1.1\r\n\r\n"
    assert talk(port, smuggled).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 70_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000,
    ],
)
def test_what_is_not_http_ends_that_connection_only(port, sent):
    talk(port, sent)
    assert ask(port)[0].status == 200


def test_a_slow_client_times_out(monkeypatch):
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.3)
    with serving() as port, socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        begin = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for byte in b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
        assert time.monotonic() - begin < 60


def test_idle_connections_are_bounded_and_given_back(monkeypatch):
    monkeypatch.setattr(server_module, "IDLE_SECONDS", 0.5)
    with serving() as port, contextlib.ExitStack() as stack:
        threads = threading.active_count()
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(60)]
        for connection in idle[server_module.MAX_CONNECTIONS :]:
            assert connection.recv(1) == b""  # one too many: closed at once
        assert threading.active_count() <= threads + server_module.MAX_CONNECTIONS
        for connection in idle[: server_module.MAX_CONNECTIONS]:
            assert connection.recv(1) == b""
        assert ask(port)[0].status == 200


# Authentication


def basic(text):
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (basic(b"me:pass:word"), 200),
        (basic("me:pass:wörd".encode()), 401),
        (basic(b"me:pass"), 401),
        (basic(b""), 401),
        ("Basic !!!", 401),
        ("Bearer me:pass:word", 401),
        ("", 401),
    ],
)
def test_only_the_password_opens_the_page(authorization, status):
    with serving(credentials=b"me:pass:word") as port:
        answer, body = ask(port, Authorization=authorization)
        assert answer.status == status
        assert (body == PLAIN) is (status == 200)


def test_without_the_password_only_health_is_served():
    with serving(credentials=b"me:password") as port:
        assert {path: ask(port, path)[0].status for path in ("/", "/metrics", "/x", "/-/healthy")} == {
            "/": 401,
            "/metrics": 401,
            "/x": 401,
            "/-/healthy": 200,
        }


def name_of_peer(port, cert):
    context = ssl.create_default_context(cafile=cert)
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        assert connection.getresponse().read() == PLAIN
        return dict(field[0] for field in connection.sock.getpeercert()["subject"])["commonName"]


def test_the_page_is_served_over_tls_with_the_newest_certificate(certificate, renew_certificate):
    with serving(tls=TlsFiles(*certificate)) as port:
        assert name_of_peer(port, certificate[0]) == "first"
        certificate[1].write_text("half written")
        with pytest.raises(ssl.SSLError):
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*certificate)
        assert name_of_peer(port, certificate[0]) == "first"
        renew_certificate("second")
        assert name_of_peer(port, certificate[0]) == "second"


def test_a_client_without_tls_disturbs_nobody(certificate):
    with serving(tls=TlsFiles(*certificate)) as port:
        talk(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        assert name_of_peer(port, certificate[0]) == "first"
