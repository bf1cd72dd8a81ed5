"""The alert loop is killed again and again: every alert is delivered, in order, and hardly any of them twice."""

import random
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.alerts.conftest import AlertLoop, Sidecar, sidecar_page
from tests.fakes import Mailbox, Message, Webhook, reserve_ports, wait_for

PEERS = ("a", "b")
TURN_SECONDS = 1.5
KILLS = 30
MAIL_IS_DOWN = range(4, 10)
_LINE = re.compile(r"((?:Recovered: )?PeerStalled: \w+)\. .*since (\S+ \S+ \S+?)\.?$", re.IGNORECASE)
_SINCE = re.compile(r"since (\S+ \S+ [A-Z]+)", re.IGNORECASE)


class Arrivals(list[Message]):
    """Notes when each message was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, message: Message) -> None:
        self.times.append(time.monotonic())
        super().append(message)


@pytest.fixture
def receivers() -> Iterator[tuple[Webhook, Mailbox]]:
    webhook, mailbox = Webhook(), Mailbox(reserve_ports(1)[0], Arrivals())
    webhook.messages = Arrivals()
    mailbox.start()
    yield webhook, mailbox
    webhook.close()
    mailbox.stop()


@pytest.fixture
def sidecars() -> Iterator[dict[str, Sidecar]]:
    sidecars = {peer: Sidecar() for peer in PEERS}
    yield sidecars
    for sidecar in sidecars.values():
        sidecar.close()


def test_kills_at_any_moment_lose_nothing_and_repeat_only_what_was_under_way(
    make_loop: Callable[..., AlertLoop], sidecars: dict[str, Sidecar], receivers: tuple[Webhook, Mailbox]
) -> None:
    webhook, mailbox = receivers
    loop = make_loop(sidecars, {"hook": webhook.url, "mail": mailbox.url}, interval_seconds=0.1)
    loop.settings["grouping"] = {"wait": "0.2s", "interval": "1s"}
    for number, sidecar in enumerate(sidecars.values()):
        _flap(sidecar, number / len(PEERS))
    kills = []
    chance = random.Random(7)
    for number in range(KILLS):
        if number == MAIL_IS_DOWN.start:
            mailbox.stop()
        if number == MAIL_IS_DOWN.stop:
            mailbox.start()
        loop.start()
        if number % 2:  # the worst moment: just accepted, perhaps not yet written down
            before = len(webhook.messages)
            wait_for(lambda b=before: len(webhook.messages) > b, 20, "a message", every=0.002)
        time.sleep(chance.uniform(0, 0.02 if number % 2 else 0.8))
        loop.kill()
        kills.append(time.monotonic())
    for sidecar in sidecars.values():
        sidecar.serve()
    loop.start()
    wait_for(lambda: not loop.firing(), 20, "all is well")
    events = loop.get("/api/alerts").json()["events"]
    assert len(events) >= KILLS // 2
    for messages in (webhook.messages, mailbox.messages):
        wait_for(lambda m=messages: len(set(_arrived(m)[0])) >= len(events), 60, "everything delivered")
        _check(events, messages, kills)
    assert wait_for(lambda: loop.pending() == 0, 10, "an empty outbox")


def _flap(sidecar: Sidecar, phase: float) -> None:
    """Lets the peer stall and go on in turns; each stall has a beginning of its own, which tells its messages apart."""
    start = time.time()

    def page() -> str:
        turn = int((time.time() - start) / TURN_SECONDS + phase)
        began = start - 50_000 + 10 * turn
        stalled = {"last_step": began, "phase_start": began - 100, "started": began - 200}
        return sidecar_page(**(stalled if turn % 2 else {}))

    sidecar.page = page


def _identities(title: str, body: str) -> list[tuple[str, str]]:
    """What a message tells, in its order: each alert with its beginning, which is another for each stall."""
    lines = [match.groups() for line in body.splitlines() if (match := _LINE.match(line))]
    since = _SINCE.search(body)
    assert lines or since, body
    return [(what, when) for what, when in lines] if lines else [(title, since[1] if since else "")]


def _arrived(messages: Arrivals) -> tuple[list[tuple[str, str]], list[float]]:
    """All that was told, in its order, and when."""
    told = [
        (one, at)
        for message, at in zip(list(messages), messages.times, strict=False)
        for one in _identities(message.title, message.body)
    ]
    return [one for one, _ in told], [at for _, at in told]


def _check(events: list[dict[str, Any]], messages: Arrivals, kills: list[float]) -> None:
    expected = [one for event in events for one in _identities(event["title"], event["body"])]
    assert len(set(expected)) == len(expected)
    arrived, all_times = _arrived(messages)
    assert set(arrived) == set(expected)
    for peer in PEERS:  # the first arrivals of each alert are in the order of its events
        wanted = [one for one in expected if one[0].endswith(f": {peer}")]
        assert list(dict.fromkeys(one for one in arrived if one[0].endswith(f": {peer}"))) == wanted
    for one in {one for one in arrived if arrived.count(one) > 1}:
        times = [at for at, other in zip(all_times, arrived, strict=True) if other == one]
        assert all(any(0 <= kill - at < 1 for kill in kills) for at in times[:-1]), f"{one} was repeated without a kill"
