"""Hostile clients of the servers under uvicorn: real connections to a real server."""

import asyncio
import contextlib
import http.client
import random
import socket
import ssl
import threading
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.serving.asgi import Server
from tests.exporter.test_hostile_input import mutate
from tests.fakes import wait_for

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
REQUEST = HEAD + b"\r\n"
LARGE = 32 << 20


async def show(_request):
    return PlainTextResponse("page")


async def show_large(_request):
    return Response(b"x" * LARGE)


async def read_body(request):
    return PlainTextResponse(str(len(await request.body())))


APP = Starlette(
    routes=[
        Route("/", show),
        Route("/large", show_large),
        Route("/body", read_body, methods=["POST"]),
    ]
)


@contextlib.contextmanager
def serving(app=APP, **options):
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, http="h11", ws="none", log_config=None, lifespan="off"), **options)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[listener]),), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], server
    finally:
        server.should_exit = server.force_exit = True
        thread.join(60)
        assert not thread.is_alive()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def ask(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read()


def answer(connection, sent=REQUEST):
    connection.sendall(sent)
    received = b""
    while not received.endswith(b"page"):
        chunk = connection.recv(1 << 16)
        assert chunk, "the connection was ended"
        received += chunk


def is_closed(connection):
    """Whether the server ends the connection; waits for it."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(1 << 16):
            pass
    return True


@pytest.mark.parametrize(
    "begun",
    [
        b"G",
        HEAD,
        b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc",
        # Answered before the body is there.
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc",
    ],
)
@pytest.mark.parametrize("is_second", [False, True])
def test_a_request_that_is_not_sent_in_time_ends_its_connection(begun, is_second):
    with serving(request_seconds=0.2) as (port, _), connect(port) as connection:
        if is_second:
            answer(connection)
        connection.sendall(begun)
        assert is_closed(connection)


def test_a_connection_that_sends_nothing_is_ended():
    with serving(request_seconds=0.2) as (port, _), connect(port) as connection:
        assert is_closed(connection)


def test_a_byte_now_and_then_buys_no_time():
    with serving(request_seconds=0.3) as (port, _), connect(port) as connection:
        answer(connection)
        begin = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for byte in b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
        assert time.monotonic() - begin < 60


def test_an_answer_that_is_not_read_ends_the_connection():
    with serving(request_seconds=0.3) as (port, server), connect(port) as deaf:
        deaf.sendall(REQUEST.replace(b"/", b"/large", 1))
        received = len(deaf.recv(1))
        wait_for(lambda: not server.server_state.connections, 10, "its end", every=0.05)
        with contextlib.suppress(ConnectionResetError):
            while chunk := deaf.recv(1 << 20):
                received += len(chunk)
        assert received < LARGE


def test_answers_on_a_kept_connection_wait_for_no_acknowledgement():
    with serving() as (port, _), connect(port) as connection:
        seconds = []
        for _ in range(60):
            begin = time.monotonic()
            answer(connection)
            seconds.append(time.monotonic() - begin)
        # Linux and macOS delay acknowledgements by 40 ms and more once a connection is in use, each of them; a busy
        # machine delays some answers.
        assert min(seconds[30:]) < 0.03


def test_what_has_sent_no_request_gives_way_and_the_reader_stays():
    with serving(connections=16) as (port, server), contextlib.ExitStack() as stack:
        reader = stack.enter_context(connect(port))
        answer(reader)
        slow = [stack.enter_context(connect(port)) for _ in range(60)]
        answer(reader)
        # One of each kind: nothing sent, and a second request that trickles.
        answer(slow[-1])
        slow[-1].sendall(b"G")
        for connection in slow[:-15]:
            assert is_closed(connection)
        for _ in range(30):
            assert ask(port) == b"page"
            answer(reader)
        assert len(server.server_state.connections) <= 16


def test_where_all_are_idle_the_one_idle_longest_gives_way():
    with serving(connections=16) as (port, _), contextlib.ExitStack() as stack:
        readers = []
        for _ in range(17):
            readers.append(stack.enter_context(connect(port)))
            answer(readers[-1])
        assert is_closed(readers[0])
        for reader in readers[1:]:
            answer(reader)


def tls_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def read_by_tls(port, certificate):
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=60, context=ssl.create_default_context(cafile=certificate[0])
    )
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read()


def test_a_handshake_that_hangs_gives_way_and_is_ended(certificate):
    with (
        serving(tls=tls_context(certificate), connections=16, request_seconds=0.5) as (port, server),
        contextlib.ExitStack() as stack,
    ):
        hanging = [stack.enter_context(connect(port)) for _ in range(40)]
        for connection in hanging[-16:]:
            connection.sendall(b"\x16\x03\x01\x02\x00")
        assert read_by_tls(port, certificate) == b"page"
        for connection in hanging:
            assert is_closed(connection)
        assert not server.server_state.connections
        assert read_by_tls(port, certificate) == b"page"


@pytest.mark.parametrize("count", [100, pytest.param(2_000, marks=pytest.mark.bench)])
def test_random_requests_leave_the_server_as_it_was(count):
    dice = random.Random(4)
    with serving(request_seconds=0.05) as (port, server):
        for _ in range(count):
            sent = dice.randbytes(dice.randint(1, 3000)) if dice.random() < 0.2 else mutate(REQUEST, dice)
            with connect(port) as connection, contextlib.suppress(ConnectionError):
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                assert is_closed(connection)
        assert ask(port) == b"page"
        assert len(server.server_state.connections) <= 1
