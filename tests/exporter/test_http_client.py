"""A response has a time and a size limit."""

import contextlib
import socket
import ssl
import threading
import time

import pytest

from exporter.http_client import HttpClient, ReadError


def serve(answer):
    """A server of one connection: `answer(connection)` after the request was read. Returns its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with listener:
            connection, _ = listener.accept()
            with connection:
                while b"\r\n\r\n" not in connection.recv(65536):
                    pass
                with contextlib.suppress(OSError):
                    answer(connection)

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def get(url, **options):
    return HttpClient(**options).get(url)


def test_an_answer_is_status_type_and_body():
    url = serve(lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\n\r\n{}"))
    assert get(url) == (200, "application/json", b"{}")


def test_a_chunked_answer_is_put_together():
    url = serve(
        lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    )
    assert get(url) == (200, "", b"abc")


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"])
def test_a_server_that_sends_slowly_times_out(head):
    def drip(connection):
        connection.sendall(head)
        while True:
            connection.sendall(b"H")
            time.sleep(0.05)

    with pytest.raises(ReadError):
        get(serve(drip), timeout_seconds=0.3)


def test_a_server_that_does_not_respond_times_out():
    begin = time.monotonic()
    with pytest.raises(ReadError):
        get(serve(lambda connection: time.sleep(120)), timeout_seconds=0.2)
    assert time.monotonic() - begin < 60


def test_an_endless_response_is_aborted():
    def pour(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with pytest.raises(ReadError, match="too large"):
        get(serve(pour), max_bytes=100_000)


@pytest.mark.parametrize(
    "answer", [b"", b"\x00\xff\r\n", b"HTTP/1.1 two OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
def test_what_is_not_http_is_no_answer(answer):
    with pytest.raises(ReadError):
        get(serve(lambda connection: connection.sendall(answer)))


def test_an_encoding_that_was_not_asked_for_is_not_unpacked():
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
    assert get(serve(lambda connection: connection.sendall(head + b"\x1f\x8b\x08\x00")))[2] == b"\x1f\x8b\x08\x00"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://name.invalid", "http://[::1", "ftp://127.0.0.1/x"])
def test_an_address_that_does_not_work_is_a_read_error(url):
    with pytest.raises(ReadError):
        get(url)


def test_a_certificate_that_is_not_trusted_is_refused(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with listener:
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True):
                    pass
            except OSError:
                connection.close()

    threading.Thread(target=run, daemon=True).start()
    with pytest.raises(ReadError, match="CERTIFICATE_VERIFY_FAILED"):
        get(f"https://127.0.0.1:{listener.getsockname()[1]}")


def test_what_is_posted_arrives_as_json():
    received = []
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with listener:
            connection, _ = listener.accept()
            with connection:
                data = b""
                while not data.endswith(b'{"a": 1}'):
                    data += connection.recv(65536)
                received.append(data)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[]")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/v2/key"
    assert HttpClient().post(address, b'{"a": 1}') == (200, "application/json", b"[]")
    thread.join()
    head = received[0].decode().lower()
    assert head.startswith("post /v2/key http/1.1\r\n")
    assert "content-type: application/json\r\n" in head
    assert "content-length: 8\r\n" in head


def test_an_answer_to_a_post_is_bounded_too():
    def pour(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with pytest.raises(ReadError, match="too large"):
        HttpClient(max_bytes=100_000).post(serve(pour), b"{}")


@pytest.mark.parametrize("url", ["http://me:secret@127.0.0.1:1/v2/secret?key=secret", "ftp://host/secret"])
def test_the_error_of_a_post_does_not_repeat_a_key(url):
    with pytest.raises(ReadError, match=r"^(http://127\.0\.0\.1:1|ftp://host): ") as caught:
        HttpClient().post(url, b"{}")
    assert "secret" not in str(caught.value)


def test_a_certificate_that_is_trusted_is_read_over_https(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with listener:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as secured:
                while not secured.recv(65536).endswith(b"{}"):
                    pass
                secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    assert HttpClient(timeout_seconds=20).post(url, b"{}") == (200, "application/json", b"1")
    thread.join()
