"""Pushes over HTTP: of machines that joined for it, each once, bounded; all others are counted."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from alerts.machines.membership import NO_PORT, Membership, Roster, read_membership
from alerts.machines.sequences import Sequences
from alerts.scraping.inbox import Inbox
from alerts.scraping.page import Page
from alerts.scraping.target import Target
from alerts.web.pushing import AT_ONCE, Pushing
from exporter.machine.push_format import MAX_PUSH_BYTES, PUSH_PATH, Push, render

PASSWORD = "s3cret" * 6
PEERS = ("amber",)
KNOWN = {"rack-1": dict.fromkeys(PEERS, NO_PORT)}
PAGE = b"trainer_up 1\n"


class Watcher:
    """The handler as the alert loop serves it; `now` is its clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.folder = folder
        self.changes = 0
        self.start(KNOWN)

    def start(self, known: Membership) -> None:
        target = Target(peer="amber", machine="rack-1", pushed=True)
        self.inbox = Inbox([target], 15.0, self._clock)
        roster = Roster(self.folder, known, self._note, pause_seconds=60.0, clock=self._clock)
        sequences = Sequences(self.folder, lambda: 0.0)
        self.pushing = Pushing(
            {"rack-1": PASSWORD}, self.inbox, roster, sequences, interval_seconds=15.0, clock=self._clock
        )
        self.client = TestClient(Starlette(routes=self.pushing.routes()))

    def _clock(self) -> float:
        return self.now

    def _note(self) -> None:
        self.changes += 1

    def push(
        self,
        sequence: int = 1,
        *,
        login: tuple[str, str] = ("rack-1", PASSWORD),
        body: bytes | Iterator[bytes] | None = None,
        peers: tuple[str, ...] = PEERS,
        encoding: str = "gzip",
    ) -> tuple[int, dict[str, object]]:
        """One interval later than the one before."""
        self.now += 15.0
        content = render(Push(sequence, peers, {"amber": PAGE})) if body is None else body
        answer = self.client.post(PUSH_PATH, content=content, auth=login, headers={"Content-Encoding": encoding})
        return answer.status_code, answer.json()

    def has_page(self) -> bool:
        return isinstance(self.inbox.latest("amber")[0], Page)


@pytest.fixture
def watcher(tmp_path: Path) -> Watcher:
    return Watcher(tmp_path)


def test_a_page_that_is_pushed_is_there(watcher: Watcher) -> None:
    assert watcher.push() == (200, {"sequence": 1, "interval_seconds": 15.0})
    assert watcher.has_page()
    assert watcher.pushing.results == {("rack-1", "accepted"): 1}


def test_a_replayed_push_is_refused_after_a_restart_too(watcher: Watcher) -> None:
    body = render(Push(5, PEERS, {"amber": PAGE}))
    assert watcher.push(body=body)[0] == 200
    watcher.now += 1000.0
    status, told = watcher.push(body=body)
    assert (status, told["sequence"]) == (409, 5)
    watcher.start(KNOWN)
    status, told = watcher.push(body=body)
    assert status == 409
    assert not watcher.has_page()
    assert watcher.pushing.results == {("rack-1", "replayed"): 1}
    # The machine goes on where it is told.
    assert isinstance(told["sequence"], int)
    assert watcher.push(told["sequence"] + 1)[0] == 200


@pytest.mark.parametrize(
    "login", [("rack-1", "wrong"), ("rack-2", PASSWORD), ("", ""), ("rack-1", ""), ("é", "é"), ("operator", PASSWORD)]
)
def test_a_stranger_is_not_let_in_and_has_no_name(watcher: Watcher, login: tuple[str, str]) -> None:
    assert watcher.push(login=login)[0] == 401
    assert not watcher.has_page()
    assert watcher.pushing.results == {("", "unauthorized"): 1}
    assert watcher.client.post(PUSH_PATH).status_code == 401
    assert watcher.client.post(PUSH_PATH, headers={"Authorization": "Basic %%%"}).status_code == 401
    assert watcher.client.get(PUSH_PATH, auth=("rack-1", PASSWORD)).status_code == 405


class Endless:
    """A body that says how much of it was read."""

    def __init__(self) -> None:
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        while self.sent < 50 << 20:
            self.sent += 1 << 16
            yield bytes(1 << 16)


@pytest.mark.parametrize(
    ("body", "encoding", "status", "result"),
    [
        (bytes(MAX_PUSH_BYTES + 1), "gzip", 413, "too_large"),
        (iter(Endless()), "gzip", 413, "too_large"),
        (gzip.compress(bytes(50 << 20)), "gzip", 413, "too_large"),
        (b"plain", "gzip", 422, "invalid"),
        (b"plain", "", 415, "invalid"),
        (b"plain", "br", 415, "invalid"),
        (gzip.compress(b"{}\n"), "gzip", 422, "invalid"),
    ],
    # The time is in what gzip makes, and the names of tests must be the same in all workers.
    ids=["too long", "endless", "too long unpacked", "not compressed", "unannounced", "of another kind", "no push"],
)
def test_what_is_no_push_is_refused_and_counted(
    watcher: Watcher, body: bytes | Iterator[bytes], encoding: str, status: int, result: str
) -> None:
    assert watcher.push(body=body, encoding=encoding)[0] == status
    assert watcher.pushing.results == {("rack-1", result): 1}
    assert not watcher.has_page()
    assert watcher.push()[0] == 200


def test_a_machine_that_pushes_too_often_waits(watcher: Watcher) -> None:
    found = []
    for number in range(1, 11):
        found.append(watcher.push(number)[0])
        watcher.now -= 15.0
    assert found == [200] * int(AT_ONCE) + [429] * (10 - int(AT_ONCE))
    watcher.now += 7.5
    assert watcher.push(20)[0] == 200


def test_other_peers_of_a_machine_are_taken_up(watcher: Watcher) -> None:
    watcher.now = 100.0
    assert watcher.push(peers=("amber", "new"))[0] == 200
    assert watcher.changes == 1
    assert read_membership(watcher.folder) == {"rack-1": {"amber": NO_PORT, "new": NO_PORT}}
