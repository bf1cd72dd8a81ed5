"""The login of the status page."""

import asyncio
import base64

from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from alerts.web.login import FREE_ATTEMPTS, LONGEST_PAUSE_SECONDS, MAX_ADDRESSES, LoginGuard, Throttle, network_of


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("page")(scope, receive, send)


def _ask(guard: LoginGuard, given: str | None, path: str = "/", client: str = "192.0.2.1") -> int:
    """The status of the response."""
    headers = [(b"authorization", given.encode())] if given is not None else []
    scope = {"type": "http", "path": path, "method": "GET", "headers": headers, "client": (client, 1)}
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(guard(scope, receive, send))
    return int(sent[0]["status"])


def _basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def _guard(clock: Clock | None = None) -> LoginGuard:
    return LoginGuard(_page, "op", "pässword:1", "token", Throttle(clock or Clock()))


def test_only_the_right_name_and_password_pass() -> None:
    guard = _guard()
    assert _ask(guard, _basic("op:pässword:1")) == 200
    assert _ask(guard, "basic " + _basic("op:pässword:1").partition(" ")[2]) == 200
    wrong = (None, "", "Basic", "Basic !", _basic("op:pässword"), _basic("OP:pässword:1"), _basic(""), "Bearer nothing")
    for given in wrong:
        assert _ask(_guard(), given) == 401, given


def test_the_owners_token_passes_and_the_health_check_is_open() -> None:
    assert _ask(_guard(), "Bearer token") == 200
    assert _ask(_guard(), None, "/-/healthy") == 200
    for path in ("/metrics", "/targets", "/api/stream", "/page.js", "/peers/a", "/-/healthy/"):
        assert _ask(_guard(), None, path) == 401


def test_wrong_passwords_delay_their_own_address_exponentially() -> None:
    clock = Clock()
    guard = _guard(clock)
    for _ in range(FREE_ATTEMPTS):
        assert _ask(guard, _basic("op:guess")) == 401
    assert _ask(guard, _basic("op:pässword:1")) == 429
    assert _ask(guard, _basic("op:pässword:1"), client="192.0.2.2") == 200
    assert _ask(guard, "Bearer token") == 200
    clock.now += 1.1
    assert _ask(guard, _basic("op:guess")) == 401
    clock.now += 1.1
    assert _ask(guard, _basic("op:pässword:1")) == 429
    clock.now += 1.0
    assert _ask(guard, _basic("op:pässword:1")) == 200
    assert _ask(guard, _basic("op:guess")) == 401


def test_the_pause_is_limited_and_old_failures_are_forgotten() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(200):
        throttle.note_failure("a")
    assert throttle.pause("a") == LONGEST_PAUSE_SECONDS
    clock.now += 1000
    assert throttle.note_failure("a") == 1


def test_many_addresses_take_bounded_memory() -> None:
    throttle = Throttle(Clock())
    for _ in range(FREE_ATTEMPTS):
        throttle.note_failure("first")
    for number in range(MAX_ADDRESSES):
        throttle.note_failure(str(number))
    assert throttle.pause("first") == 0.0


def test_an_ipv6_network_is_throttled_as_one_address() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff")
    assert network_of("2001:db8::1") != network_of("2001:db8:0:1::1")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("") == "an unknown address"
