"""Pages that came by themselves: the latest counts, for as long as it is one."""

import pytest

from alerts.scraping.connection import MAX_PAGE_BYTES
from alerts.scraping.inbox import INTERVALS, Inbox
from alerts.scraping.page import Page
from alerts.scraping.target import Target

TARGETS = [
    Target(peer="amber", url="http://127.0.0.1:9700/metrics"),
    Target(peer="amber@rack-1", machine="rack-1", pushed=True),
    Target(peer="basalt", machine="rack-1", pushed=True),
    Target(peer="cobalt", machine="rack-2", pushed=True),
]
PAGE = b"trainer_up 1\ntrainer_steps_total 7\n"


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(clock: Clock) -> Inbox:
    return Inbox(TARGETS, 15.0, clock)


def test_a_page_is_of_the_peer_of_its_machine(inbox: Inbox) -> None:
    inbox.put("rack-1", {"amber": PAGE, "basalt": PAGE, "cobalt": PAGE, "unknown": PAGE})
    assert set(inbox.peers) == {"amber@rack-1", "basalt", "cobalt"}
    for peer in ("amber@rack-1", "basalt"):
        page, age = inbox.latest(peer)
        assert isinstance(page, Page)
        assert (page.value("trainer_steps_total"), age) == (7.0, 0.0)
    # A machine speaks of its own peers only.
    assert inbox.latest("cobalt") == ("it has pushed no page yet", 0.0)


def test_a_page_counts_for_some_intervals(inbox: Inbox, clock: Clock) -> None:
    inbox.put("rack-1", {"basalt": PAGE})
    clock.now += INTERVALS * 15.0
    page, age = inbox.latest("basalt")
    assert (isinstance(page, Page), age) == (True, 45.0)
    clock.now += 0.1
    assert inbox.latest("basalt")[0] == "no page was pushed within 45 s"
    inbox.put("rack-1", {"basalt": PAGE})
    assert isinstance(inbox.latest("basalt")[0], Page)


@pytest.mark.parametrize(
    ("pages", "failure"),
    [
        ({}, "its sidecar does not answer there"),
        ({"basalt": b"<html>"}, "the page is not a sidecar's"),
        ({"basalt": b""}, "the page is not a sidecar's"),
        ({"basalt": b"trainer_up 1\n" * 5000}, "the page is not a sidecar's"),
        ({"basalt": PAGE + b"#" * MAX_PAGE_BYTES}, "the page is larger than 512 KiB"),
        ({"basalt": b'trainer_up{a="\\xff\xff"} 1 1 1\ntrainer_{ 1\n'}, "the page is not a sidecar's"),
    ],
)
def test_what_is_no_page_costs_only_its_peer(inbox: Inbox, pages: dict[str, bytes], failure: str) -> None:
    inbox.put("rack-1", {"amber": PAGE, **pages})
    assert inbox.latest("basalt")[0] == failure
    assert isinstance(inbox.latest("amber@rack-1")[0], Page)
