"""Changes over HTTP: silences, acknowledgements, test messages."""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alerts.config import TOKEN_FILE, describe_errors
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.outcome import DeliveryResult
from alerts.delivery.retry_policy import SEND_TIMEOUT_SECONDS
from alerts.delivery.route_style import RouteStyles
from alerts.delivery.silence_store import SilenceStore
from alerts.delivery.silences import AckRequest, SilenceRequest
from alerts.loop import Loop
from alerts.messages.single import Message
from alerts.web.requests.request_body import READ_TIMEOUT_SECONDS, problem, read_object
from alerts.web.requests.same_origin import refuse
from exporter.run_folder import write_atomically

log = logging.getLogger(__name__)

Handler = Callable[[Request, dict[str, Any]], Awaitable[Response]]


def make_token(state_dir: Path) -> str:
    """A new token for this run, in a file that only its owner can read; on a full disk, the page alone has it."""
    token = secrets.token_urlsafe(32)
    try:
        write_atomically(state_dir / TOKEN_FILE, f"{token}\n".encode(), mode=0o600)
    except OSError as error:
        log.error(
            "cannot write %s: %s; until a restart, `peerwatch alerts` is refused",
            state_dir / TOKEN_FILE,
            error.strerror,
        )
    return token


class Actions:
    """The handlers of requests that change something."""

    def __init__(
        self, token: str, loop: Loop, silence_store: SilenceStore, sender: Sender, styles: RouteStyles
    ) -> None:
        self.token = token
        self._loop = loop
        self._silence_store = silence_store
        self._sender = sender
        self._styles = styles
        self._is_testing = asyncio.Lock()
        # The dead man's switch, where there is one: a test tries it too.
        self.heartbeat: Callable[[], Awaitable[DeliveryResult]] | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/api/silences", self._guarded(self._silence), methods=["POST"]),
            Route("/api/silences/{number}", self._guarded(self._end_silence), methods=["DELETE"]),
            Route("/api/acknowledgements", self._guarded(self._acknowledge), methods=["POST"]),
            Route("/api/test", self._guarded(self._test), methods=["POST"]),
        ]

    def _guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            refusal = refuse(request.headers, request.scope["scheme"], self.token)
            if refusal:
                return problem(403, refusal)
            try:
                async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                    content = await read_object(request)
                return await handler(request, content)
            except TimeoutError:
                return problem(408, "request timed out")
            except ValidationError as error:
                return problem(422, "; ".join(describe_errors(error)))
            except ValueError as error:
                return problem(422, str(error))

        return handle

    async def _silence(self, _request: Request, content: dict[str, Any]) -> Response:
        silence = self._silence_store.silence(SilenceRequest.model_validate(content), time.time())
        return JSONResponse(silence._asdict(), status_code=201)

    async def _end_silence(self, request: Request, _content: dict[str, Any]) -> Response:
        number = request.path_params["number"]
        # A longer number is none of ours, and may be more than Python reads.
        is_number = number.isascii() and number.isdecimal() and len(number) < 16
        if not is_number or not self._silence_store.end_silence(int(number)):
            return problem(404, f"unknown silence {number[:20]}")
        return JSONResponse({"id": int(number)})

    async def _acknowledge(self, _request: Request, content: dict[str, Any]) -> Response:
        states = self._loop.status.alert_states.states
        firing = [key for key, state in states.items() if state.phase == "firing"]
        keys = self._silence_store.acknowledge(AckRequest.model_validate(content), firing)
        if not keys:
            return problem(404, "no matching alert is firing")
        return JSONResponse({"acknowledged": [key._asdict() for key in keys]})

    async def _test(self, _request: Request, content: dict[str, Any]) -> Response:
        name = content.get("route")
        if name is not None and name not in self._sender.routes:
            return problem(404, f"unknown route {name}")
        routes = [name] if name is not None else list(self._sender.routes)
        if self._is_testing.locked():
            return problem(409, "another test is running")
        async with self._is_testing:
            deliveries = await asyncio.gather(*(self._send_test(route) for route in routes))
            heartbeat = await self.heartbeat() if name is None and self.heartbeat is not None else None
        results = [
            {"route": route, "delivered": delivery.accepted, "reason": delivery.reason}
            for route, delivery in zip(routes, deliveries, strict=True)
        ]
        if heartbeat is not None:
            results.append({"route": "deadman", "delivered": heartbeat.accepted, "reason": heartbeat.reason})
        return JSONResponse({"results": results})

    async def _send_test(self, route: str) -> DeliveryResult:
        style = self._styles.style(route)
        title = f"{style.words.test_title}{style.words.colon}{style.fleet}"
        future: Future[DeliveryResult] = Future()

        def send() -> None:
            future.set_result(self._sender.send(route, Message(title, style.words.test_body.format(route))))

        threading.Thread(target=send, name=f"test-{route}", daemon=True).start()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), SEND_TIMEOUT_SECONDS)
        except TimeoutError:
            return DeliveryResult(False, f"no answer within {SEND_TIMEOUT_SECONDS:g} s")
