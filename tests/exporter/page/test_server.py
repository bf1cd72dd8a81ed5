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

from exporter.page.answers import Answers, accepts_gzip
from exporter.page.server import Limits, Server
from exporter.page.tls_files import TlsFiles
from exporter.serving.host_names import scraped_names
from exporter.snapshot import Page

PLAIN = b"trainer_up 1.0\n" * 1000


@contextlib.contextmanager
def serving(*, rendered_seconds_ago=0.0, credentials=None, tls=None, host="127.0.0.1", allowed=(), **limits):
    page = Page(PLAIN, time.monotonic() - rendered_seconds_ago)
    is_protected = credentials is not None or tls is not None
    hosts = scraped_names(host, allowed, is_protected=is_protected)
    answers = Answers(lambda: page, stale_after_seconds=30.0, hosts=hosts, credentials=credentials)
    server = Server(("127.0.0.1", 0), answers.answer, tls=tls, limits=Limits(**limits))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.address[1]
    finally:
        server.stop()
        thread.join(60)
        assert not thread.is_alive()


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
        received = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(sent)
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
    smuggled = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 27\r\n\r\nGET /secret HTTP/1.1\r\n\r\n"
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


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def is_closed(connection):
    """Whether the server ends the connection; waits for it."""
    try:
        return connection.recv(1 << 16) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("begun", [b"", b"G", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_request_that_is_not_sent_in_time_ends_its_connection(begun):
    with serving(request_seconds=0.2) as port, connect(port) as connection:
        connection.sendall(begun)
        assert is_closed(connection)


def test_a_byte_now_and_then_buys_no_time():
    with serving(request_seconds=0.3) as port, connect(port) as connection:
        begin = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for byte in b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
        assert time.monotonic() - begin < 60


REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


def read_answer(connection):
    received = b""
    while not received.endswith(PLAIN):
        chunk = connection.recv(1 << 16)
        assert chunk, "the connection was ended"
        received += chunk
    return received


def test_a_second_request_that_trickles_ends_the_connection_too():
    with serving(request_seconds=1.0) as port, connect(port) as connection:
        connection.sendall(REQUEST)
        read_answer(connection)
        connection.sendall(b"G")
        assert is_closed(connection)


def test_requests_sent_together_are_answered_one_after_the_other(port):
    answered = b""
    with connect(port) as connection:
        connection.sendall(REQUEST * 3 + REQUEST[:-1])
        for received in iter(lambda: connection.recv(1 << 16), b""):
            answered = answered + received
            if answered.count(PLAIN) == 3:
                break
        connection.sendall(REQUEST[-1:])
        read_answer(connection)


def test_an_answer_that_is_not_read_ends_the_connection(monkeypatch):
    monkeypatch.setattr("tests.exporter.page.test_server.PLAIN", b"x" * (32 << 20))
    with serving(request_seconds=0.3) as port, connect(port) as deaf:
        deaf.sendall(REQUEST)
        received = len(deaf.recv(1))  # It has begun to answer.
        time.sleep(0.5)
        with contextlib.suppress(ConnectionResetError):
            while chunk := deaf.recv(1 << 20):
                received += len(chunk)
        assert received < 32 << 20


def test_an_idle_connection_is_ended():
    with serving(idle_seconds=0.2) as port, connect(port) as connection:
        connection.sendall(REQUEST)
        read_answer(connection)
        assert is_closed(connection)


def test_what_has_sent_no_request_gives_way_and_a_scraper_stays():
    with serving(connections=16) as port, contextlib.ExitStack() as stack:
        scraper = stack.enter_context(connect(port))
        scraper.sendall(REQUEST)
        read_answer(scraper)
        slow = [stack.enter_context(connect(port)) for _ in range(60)]
        for connection in slow[:-15]:
            assert is_closed(connection)  # the oldest first
        scraper.sendall(REQUEST)
        read_answer(scraper)
        for _ in range(30):
            assert ask(port)[0].status == 200
        slow[-1].sendall(REQUEST)


def test_where_all_are_scrapers_the_one_idle_longest_gives_way():
    with serving(connections=4) as port, contextlib.ExitStack() as stack:
        scrapers = []
        for _ in range(5):
            scrapers.append(stack.enter_context(connect(port)))
            scrapers[-1].sendall(REQUEST)
            read_answer(scrapers[-1])
        assert is_closed(scrapers[0])
        for scraper in scrapers[1:]:
            scraper.sendall(REQUEST)
            read_answer(scraper)


def test_unfinished_requests_are_bounded_together():
    with serving(unfinished_bytes=1 << 16) as port, contextlib.ExitStack() as stack:
        large = [stack.enter_context(connect(port)) for _ in range(12)]
        for connection in large:
            connection.sendall(b"GET /" + b"a" * 10_000)
        assert is_closed(large[0])
        assert ask(port)[0].status == 200


def test_a_handshake_that_hangs_gives_way(certificate):
    with serving(tls=TlsFiles(*certificate), connections=8) as port, contextlib.ExitStack() as stack:
        hanging = [stack.enter_context(connect(port)) for _ in range(20)]
        for connection in hanging[-8:]:
            connection.sendall(b"\x16\x03\x01\x02\x00")
        assert name_of_peer(port, certificate[0]) == "first"
        assert is_closed(hanging[0])


# Host names


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Host: localhost:9700", 200),
        (b"Host: 127.0.0.1", 200),
        (b"Host: [::1]:1", 200),
        (b"Host: host.docker.internal:9700", 200),
        (b"Host: Peer.Example.org", 200),
        (b"Host: evil.example", 421),
        (b"Host: 192.0.2.7:9700", 421),
        (b"X: y", 400),
        (b"Host: localhost\r\nHost: localhost", 400),
        (b"Host:", 400),
        (b"Host: [zz]", 400),
        (b"Host: [::1", 400),
        (b"Host: localhost:65536", 400),
        (b"Host: localhost:-1", 400),
        (b"Host: l\xf6calhost", 400),
        (b"Host: " + b"a" * 10_000, 400),
    ],
)
def test_a_foreign_or_malformed_host_reads_nothing(head, status):
    with serving(allowed=["peer.example.org"]) as port:
        for path in (b"/metrics", b"/", b"/-/healthy"):
            answer = talk(port, b"GET " + path + b" HTTP/1.1\r\n" + head + b"\r\nConnection: close\r\n\r\n")
            assert int(answer.split()[1]) == status
            assert (PLAIN in answer) is (status == 200 and path == b"/metrics")


def test_on_the_network_scrapers_come_by_any_name_and_browsers_by_address():
    with serving(host="0.0.0.0") as port:
        assert ask(port, Host="peer-1.example.org:9700")[0].status == 200
        assert ask(port, Host="peer-1.example.org:9700", Accept_Language="en")[0].status == 421
        assert ask(port, Host="192.0.2.7:9700", Accept_Language="en")[0].status == 200


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
