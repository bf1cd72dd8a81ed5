"""uvicorn with bounds: a connection that keeps the server waiting gives way to a new one, and is ended in time.

uvicorn's `limit_concurrency` refuses the new connection instead, and its time-out for idle connections knows neither a
first request that does not come, nor one that trickles, nor an answer that is not read, nor a TLS handshake that hangs.
So connections are accepted here, and each says when it waits for its client.
"""

import asyncio
import socket
import ssl

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.serving.give_way import ACCEPTED_AT_ONCE, BACKLOG, MAX_CONNECTIONS, REQUEST_SECONDS, Connections
from exporter.serving.open_files import allow_connections

# uvicorn ends an idle connection after its `timeout_keep_alive`, which is shorter.
_IDLE_SECONDS = 60.0
NO_FILES_PAUSE_SECONDS = 0.1


class Server(uvicorn.Server):
    """Serves on sockets that listen already; `run` and `serve` need them. `tls` is for https."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        tls: ssl.SSLContext | None = None,
        connections: int = MAX_CONNECTIONS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        super().__init__(config)
        self._tls = tls
        self._most = allow_connections(connections)
        self._request_seconds = request_seconds
        self._doors: list[Door] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        connections: Connections[Connection] = Connections()
        for one in sockets or []:
            self._doors.append(Door(self, one, connections, self._most, self._request_seconds, self._tls))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for door in self._doors:
            door.close()
        await super().shutdown(sockets=sockets)


class Door:
    """Accepts the connections of one listening socket, and ends those that take too long or give way."""

    def __init__(
        self,
        server: uvicorn.Server,
        listener: socket.socket,
        connections: "Connections[Connection]",
        most: int,
        request_seconds: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._server = server
        self._listener = listener
        self._most = most
        self._request_seconds = request_seconds
        self._tls = tls
        self.connections = connections
        self.loop = asyncio.get_running_loop()
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._greetings: set[asyncio.Task[object]] = set()
        self._is_closed = False
        self._open()
        self._timer = self.loop.call_later(self._seconds_between_looks(), self._end_overdue)

    def close(self) -> None:
        """Accepts no more."""
        self._is_closed = True
        self._timer.cancel()
        self.loop.remove_reader(self._listener.fileno())
        for greeting in self._greetings:
            greeting.cancel()

    def _open(self) -> None:
        if not self._is_closed:
            self.loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no file is left
                self._give_way()
                self.loop.remove_reader(self._listener.fileno())
                self.loop.call_later(NO_FILES_PAUSE_SECONDS, self._open)
                return
            if len(self.connections) >= self._most and not self._give_way():
                accepted.close()
                continue
            try:
                accepted.setblocking(False)
                # asyncio sets it only on sockets made with the protocol's number. Without it the rest of an answer
                # waits until the client acknowledges its beginning: 40 ms and more on a kept connection.
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:  # the client has gone
                accepted.close()
                continue
            connection = Connection(self, self._server)
            self.connections.wait(connection, self.loop.time())
            self._greet(accepted, connection)

    def _greet(self, accepted: socket.socket, connection: "Connection") -> None:
        """Starts TLS, if any, and hands the connection to uvicorn."""
        limit = self._request_seconds if self._tls else None
        greeting: asyncio.Task[object] = self.loop.create_task(
            self.loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=limit,
                ssl_shutdown_timeout=limit,
            )
        )
        connection.greeting = greeting
        self._greetings.add(greeting)

        def finish(_: object) -> None:
            self._greetings.discard(greeting)
            # The client has gone, does not speak TLS, was too slow, or gave way.
            if greeting.cancelled() or greeting.exception() is not None:
                self.connections.forget(connection)
                accepted.close()

        greeting.add_done_callback(finish)

    def _give_way(self) -> bool:
        chosen = self.connections.choose()
        if chosen is None:
            return False
        self._end(chosen)
        return True

    def _end_overdue(self) -> None:
        for one in self.connections.overdue(self.loop.time(), self._request_seconds, _IDLE_SECONDS):
            self._end(one)
        self._timer = self.loop.call_later(self._seconds_between_looks(), self._end_overdue)

    def _end(self, one: "Connection") -> None:
        self.connections.forget(one)
        one.end()

    def _seconds_between_looks(self) -> float:
        return min(1.0, self._request_seconds / 4)


class Connection(H11Protocol):
    """Tells its door when it waits for its client: for a request, the rest of one, or the reading of an answer."""

    def __init__(self, door: Door, server: uvicorn.Server) -> None:
        super().__init__(server.config, server.server_state, server.lifespan.state, door.loop)
        self._door = door
        self._is_ended = False
        self.greeting: asyncio.Task[object] | None = None

    def end(self) -> None:
        """Ends the connection now: closing would wait for a client that never reads."""
        self._is_ended = True
        if self.transport is not None:
            self.transport.abort()
        elif self.greeting is not None:
            self.greeting.cancel()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._is_ended:
            transport.abort()
            return
        # Whatever the system does not take at once is an answer that the client has not read.
        transport.set_write_buffer_limits(high=1, low=0)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ended = True
        self._door.connections.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._settle()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._settle()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._settle()

    def _settle(self) -> None:
        if self._is_ended:
            return
        connections, now = self._door.connections, self._door.loop.time()
        if self.flow.write_paused:
            connections.wait(self, now)
        elif self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            connections.serve(self)
        elif self._is_between_requests():
            connections.rest(self, now)
        else:
            connections.wait(self, now)

    def _is_between_requests(self) -> bool:
        states = (self.conn.our_state, self.conn.their_state)
        return self.cycle is not None and states == (h11.IDLE, h11.IDLE) and not self.conn.trailing_data[0]
