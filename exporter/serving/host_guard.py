"""Refuses, under uvicorn, requests with a foreign or malformed Host header."""

from http import HTTPStatus

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.serving.host_names import BROWSER_HEADER, HostRule

_REASONS = {
    HTTPStatus.BAD_REQUEST: "the request needs one well-formed Host header\n",
    HTTPStatus.MISDIRECTED_REQUEST: "unknown host name; use the address, or add the name to `allowed_hosts`\n",
}


class HostGuard:
    """Passes the requests that the rule allows."""

    def __init__(self, app: ASGIApp, rule: HostRule) -> None:
        self._app = app
        self._rule = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            from_browser = any(name == BROWSER_HEADER.encode() for name, _ in scope["headers"])
            status = self._rule.judge(hosts, from_browser=from_browser)
            if status in _REASONS:
                await PlainTextResponse(_REASONS[status], status_code=status)(scope, receive, send)
                return
        await self._app(scope, receive, send)
