"""Takes the pages that machines push over HTTP: from those that joined for it, bounded, and each push once."""

import asyncio
import hashlib
import hmac
import logging
from collections import Counter
from collections.abc import Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alerts.machines.membership import NO_PORT, Roster
from alerts.machines.sequences import Sequences
from alerts.scraping.inbox import Inbox
from alerts.web.login import decode_basic
from alerts.web.request_body import READ_TIMEOUT_SECONDS, problem
from exporter.machine.push_format import MAX_PUSH_BYTES, PUSH_PATH, TooLargeError, parse, unpack

# Of all pushes that are being received.
MAX_HELD_BYTES = 64 << 20
# So many pushes an interval, and so many at once; a machine sends one.
PER_INTERVAL = 2.0
AT_ONCE = 4.0
_TOO_LARGE = f"a push is at most {MAX_PUSH_BYTES >> 20} MiB, compressed and unpacked"

log = logging.getLogger(__name__)


class RefusedError(Exception):
    """A push is not taken: `status` of HTTP, `result` as it is counted, and one line that says why."""

    def __init__(self, status: int, result: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.result = result


class Rate:
    """How often one machine may push; `clock` never steps."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left = AT_ONCE
        self._at = clock()

    def take(self) -> bool:
        """Whether it may push now."""
        now = self._clock()
        self._left = min(AT_ONCE, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Pushing:
    """The handler of `POST /api/pages`. `results` counts pushes by machine and result; strangers have no name."""

    def __init__(
        self,
        passwords: Mapping[str, str],
        inbox: Inbox,
        roster: Roster,
        sequences: Sequences,
        *,
        interval_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """`passwords` of the machines that push, by name."""
        self._expected = {machine: _digest(password) for machine, password in passwords.items()}
        self._inbox = inbox
        self._roster = roster
        self._sequences = sequences
        self._interval = interval_seconds
        self._rates = {machine: Rate(PER_INTERVAL / interval_seconds, clock) for machine in passwords}
        self._held_bytes = 0
        self.results: Counter[tuple[str, str]] = Counter()

    def routes(self) -> list[Route]:
        return [Route(PUSH_PATH, self._push, methods=["POST"])]

    async def _push(self, request: Request) -> Response:
        machine = ""
        try:
            machine = self._recognize(request)
            sequence = self._take(machine, await self._receive(machine, request))
        except RefusedError as refused:
            self._count(machine, refused.result)
            if refused.result != "replayed":
                return problem(refused.status, str(refused))
            known = {"detail": str(refused), "sequence": self._sequences.latest(machine)}
            return JSONResponse(known, status_code=refused.status)
        self._count(machine, "accepted")
        return JSONResponse({"sequence": sequence, "interval_seconds": self._interval})

    def _recognize(self, request: Request) -> str:
        """The machine, by its name and password. They cannot be guessed, so that wrong ones need no pause."""
        given = decode_basic(request.headers.get("authorization", ""))
        name, _, password = given.decode("utf-8", errors="replace").partition(":")
        expected = self._expected.get(name, b"")
        if not hmac.compare_digest(_digest(password), expected):
            raise RefusedError(401, "unauthorized", "no machine that pushes here has this name and password")
        return name

    async def _receive(self, machine: str, request: Request) -> bytes:
        """The unpacked body; what is too much, or too often, is refused before it is read."""
        if not self._rates[machine].take():
            raise RefusedError(429, "too_often", f"a machine pushes once in {self._interval:g} s")
        if request.headers.get("content-encoding", "").lower() != "gzip":
            raise RefusedError(415, "invalid", "a push is compressed by gzip")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 9 or int(length) > MAX_PUSH_BYTES:
            raise RefusedError(413, "too_large", _TOO_LARGE)
        body = bytearray()
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    self._held_bytes += len(chunk)
                    if len(body) > MAX_PUSH_BYTES:
                        raise RefusedError(413, "too_large", _TOO_LARGE)
                    if self._held_bytes > MAX_HELD_BYTES:
                        raise RefusedError(503, "too_often", "too many machines push at once; try again")
            return unpack(bytes(body))
        except TimeoutError:
            raise RefusedError(408, "invalid", "request timed out") from None
        except ClientDisconnect:
            raise RefusedError(400, "invalid", "the connection ended") from None
        except TooLargeError:
            raise RefusedError(413, "too_large", _TOO_LARGE) from None
        except ValueError as error:
            raise RefusedError(422, "invalid", str(error)) from None
        finally:
            self._held_bytes -= len(body)

    def _take(self, machine: str, content: bytes) -> int:
        """Keeps the pages; the push's number."""
        try:
            push = parse(content)
        except ValueError as error:
            raise RefusedError(422, "invalid", str(error)) from None
        if not self._sequences.take(machine, push.sequence):
            raise RefusedError(409, "replayed", "the number of this push is not the next")
        self._inbox.put(machine, push.pages)
        self._roster.note(machine, dict.fromkeys(push.peers, NO_PORT))
        return push.sequence

    def _count(self, machine: str, result: str) -> None:
        self.results[machine, result] += 1
        count = self.results[machine, result]
        # A machine that starts does not know its next number yet.
        is_usual = result == "accepted" or (result, count) == ("replayed", 1)
        if not is_usual and count in (1, 10, 100, 1000):
            log.warning("pushes of %s: %d %s since the start", machine or "strangers", count, result)


def _digest(text: str) -> bytes:
    """Of fixed length, so that a comparison does not tell the password's."""
    return hashlib.sha256(text.encode("utf-8", errors="replace")).digest()
