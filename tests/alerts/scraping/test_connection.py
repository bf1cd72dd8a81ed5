"""The connection to a sidecar is kept, reopened after it ended, and accepts nothing but a page."""

import asyncio
import base64
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from alerts.scraping.connection import BrokenError, PageConnection, RefusedError
from tests.fakes import LOOPBACK

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\ntrainer_up 1"


class Server:
    """Answers request after request as a test says; an empty answer ends the connection."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.answers = list(answers)
        self.requests: list[str] = []
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(request.decode())
                answer = self.answers.pop(0)
                writer.write(answer)
                if not answer or answer.endswith(b"<end>"):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, IndexError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*answers: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(answers)
    listener = await asyncio.start_server(server.serve, LOOPBACK, 0, ssl=tls)
    server.url = f"http{'s' if tls else ''}://{LOOPBACK}:{listener.sockets[0].getsockname()[1]}/metrics"
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()


def connect(url: str, tls: ssl.SSLContext | None = None) -> PageConnection[bytes]:
    return PageConnection(url, memoryview(bytearray(4096)), bytes, tls)


async def fetch(server: Server, times: int = 1, url: str = "") -> list[bytes]:
    connection = connect(url or server.url)
    try:
        return [await connection.fetch() for _ in range(times)]
    finally:
        connection.close()


def run(*answers: bytes, times: int = 1, change: Callable[[str], str] = str) -> tuple[list[bytes], Server]:
    async def go() -> tuple[list[bytes], Server]:
        async with serving(*answers) as server:
            return await fetch(server, times, change(server.url)), server

    return asyncio.run(go())


def test_one_connection_serves_many_requests() -> None:
    pages, server = run(PAGE, PAGE, PAGE, times=3)
    assert (pages, server.connections) == ([b"trainer_up 1"] * 3, 1)


def test_a_connection_that_ended_between_two_requests_is_reopened() -> None:
    """The second request meets a connection that the server ends without an answer."""
    pages, server = run(PAGE, b"", PAGE, times=2)
    assert (pages, server.connections) == ([b"trainer_up 1"] * 2, 2)


def test_a_sidecar_that_ends_every_connection_is_asked_again_once() -> None:
    with pytest.raises(BrokenError):
        run(PAGE, b"", b"", PAGE, times=2)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ntrainer_\r\n4\r\nup 1\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\ntrainer_up 1",
    ],
)
def test_a_page_comes_in_chunks_or_with_its_connection(answer: bytes) -> None:
    assert run(answer, answer, times=2)[0] == [b"trainer_up 1"] * 2


def test_an_answer_without_a_length_lasts_until_the_connection_ends() -> None:
    assert run(b"HTTP/1.0 200 OK\r\n\r\ntrainer_up 1<end>")[0] == [b"trainer_up 1<end>"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ntrainer_up 1<end>",
        b"SSH-2.0-OpenSSH_9.9\r\n<end>",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n<end>",
    ],
)
def test_what_is_cut_short_or_no_http_is_broken(answer: bytes) -> None:
    with pytest.raises(BrokenError):
        run(answer)


def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    """What follows a page must not be taken for the next one."""

    async def go() -> tuple[bytes, int]:
        async with serving(PAGE + PAGE.replace(b"up 1", b"up 0"), PAGE) as server:
            connection = connect(server.url)
            first = await connection.fetch()
            second = await connection.fetch()
            connection.close()
            assert first == second
            return second, server.connections

    assert asyncio.run(go()) == (b"trainer_up 1", 2)


def test_a_request_that_was_given_up_leaves_no_answer_for_the_next() -> None:
    async def go() -> bytes:
        async with serving(PAGE[:-1], PAGE.replace(b"up 1", b"up 0")) as server:
            connection = connect(server.url)
            given_up = asyncio.create_task(connection.fetch())
            while not server.requests:
                await asyncio.sleep(0.001)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(given_up, 0.1)
            page = await connection.fetch()
            connection.close()
            return page

    assert asyncio.run(go()) == b"trainer_up 0"


def test_the_request_carries_path_query_host_and_login() -> None:
    def change(url: str) -> str:
        return url.replace("://", "://us%40er:pass%3Aword@").replace("/metrics", "/a b/\u00e9?x=1 2")

    _, server = run(PAGE, change=change)
    lines = server.requests[0].split("\r\n")
    assert lines[0] == "GET /a%20b/%C3%A9?x=1%202 HTTP/1.1"
    assert lines[1] == f"Host: {server.url.split('/')[2]}"
    assert f"Authorization: Basic {base64.b64encode(b'us@er:pass:word').decode()}" in lines


def test_a_compressed_page_is_refused() -> None:
    with pytest.raises(RefusedError, match="compressed"):
        run(PAGE.replace(b"Content-Length", b"Content-Encoding: gzip\r\nContent-Length"))


def test_a_sidecar_is_asked_over_tls_if_its_certificate_is_trusted(tmp_path: Path) -> None:
    cert, key = _write_certificate(tmp_path)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(cert, key)

    async def go() -> list[bytes]:
        async with serving(PAGE, PAGE, tls=served) as server:
            stranger = connect(server.url, ssl.create_default_context())
            with pytest.raises(ssl.SSLError):
                await stranger.fetch()
            connection = connect(server.url, ssl.create_default_context(cafile=cert))
            pages = [await connection.fetch(), await connection.fetch()]
            connection.close()
            return pages

    assert asyncio.run(go()) == [b"trainer_up 1"] * 2


def _write_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sidecar")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(*pem))
    return cert, secret
