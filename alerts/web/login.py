"""The status page's login (HTTP basic), with exponential backoff for wrong passwords."""

import base64
import hashlib
import hmac
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from alerts.web.same_origin import is_owner
from exporter.machine.push_format import PUSH_PATH

# The health check reveals only up or down, and its clients often cannot log in.
JOIN_PATH = "/api/machines"
STANDBY_PATH = "/api/standby"
# A machine that joins, and a standby, have tokens of their own, and one that pushes a password.
OPEN_PATHS = frozenset({"/-/healthy", JOIN_PATH, STANDBY_PATH, PUSH_PATH})
FREE_ATTEMPTS = 5
LONGEST_PAUSE_SECONDS = 60.0
FORGET_SECONDS = 900.0
MAX_ADDRESSES = 1000

log = logging.getLogger(__name__)


class Throttle:
    """Counts wrong passwords by address: beyond FREE_ATTEMPTS, each one doubles the pause."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # (failures, time of the last one) by address, the latest address last.
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def pause(self, address: str) -> float:
        """Seconds for which logins from this address are refused."""
        count, last = self._failures.get(address, (0, 0.0))
        if count < FREE_ATTEMPTS:
            return 0.0
        pause = min(2.0 ** (count - FREE_ATTEMPTS), LONGEST_PAUSE_SECONDS)
        return max(0.0, last + pause - self._clock())

    def note_failure(self, address: str) -> int:
        """Counts a failure; returns the recent failures of this address, including this one."""
        count, last = self._failures.pop(address, (0, 0.0))
        count = min(count + 1, 1000) if self._clock() - last < FORGET_SECONDS else 1
        self._failures[address] = count, self._clock()
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
        return count

    def forget(self, address: str) -> None:
        self._failures.pop(address, None)


class LoginGuard:
    """Passes requests with the name and password, or with the API token."""

    def __init__(self, app: ASGIApp, user: str, password: str, token: str, throttle: Throttle) -> None:
        self._app = app
        self._expected = _digest(f"{user}:{password}".encode())
        self._token = token
        self._throttle = throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refusal = self._refuse(Headers(scope=scope), network_of((scope.get("client") or ("",))[0]))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refuse(self, headers: Headers, address: str) -> PlainTextResponse | None:
        given = headers.get("authorization")
        if given is None:
            return _challenge()
        # Not throttled: 256 bits cannot be guessed, and commands must work during an attack on the password.
        if is_owner(headers, self._token):
            return None
        pause = self._throttle.pause(address)
        if pause:
            wait = {"Retry-After": f"{pause:.0f}"}
            return PlainTextResponse(
                f"too many wrong passwords; retry in {pause:.0f} s\n", status_code=429, headers=wait
            )
        if hmac.compare_digest(_digest(decode_basic(given)), self._expected):
            self._throttle.forget(address)
            return None
        count = self._throttle.note_failure(address)
        if count in (1, FREE_ATTEMPTS) or count % 100 == 0:
            log.warning("status page: %d wrong passwords from %s", count, address)
        return _challenge()


def network_of(address: str) -> str:
    """The throttled network: an IPv4 address, or an IPv6 /64, which one host may own."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "an unknown address"
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(found), 64), strict=False))
    return str(found)


def _challenge() -> PlainTextResponse:
    headers = {"WWW-Authenticate": 'Basic realm="Peerwatch", charset="UTF-8"', "Cache-Control": "no-store"}
    return PlainTextResponse("log in\n", status_code=401, headers=headers)


def decode_basic(header: str) -> bytes:
    """`name:password` of the header; empty if it has none."""
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except ValueError:
        return b""


def _digest(text: bytes) -> bytes:
    """A digest of fixed length, so that a comparison does not leak the password's length."""
    return hashlib.sha256(text).digest()
