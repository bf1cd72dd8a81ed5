"""The first watcher's side: tells its standby what it notified of, and holds back while that may have taken over."""

import asyncio
import logging
import secrets
import socket
import time
from pathlib import Path
from typing import Any

from alerts.delivery.queue import Queue
from alerts.standby.exchange import Answer, Here, Question, Taking, version_of
from alerts.standby.lease import Lease
from alerts.standby.token import TOKEN_FILE, read_token
from exporter.run_folder import write_atomically

# A standby that has not asked for so long is none any more.
FORGET_SECONDS = 7 * 86400.0
_NOTED_SECONDS = 3600.0
_LONGEST_CHECK_SECONDS = 1.0
# Where there never was a standby, nothing is to be noticed.
_ALONE_SECONDS = 5.0
_ASKED, _AFTER = "standby asked", "standby after"

log = logging.getLogger(__name__)


def ensure_token(state_dir: Path, certificate: Path | None) -> str:
    """The token with which a standby asks, made once; its file also has the page's certificate, to know the page by.

    Raises OSError.
    """
    path = state_dir / TOKEN_FILE
    try:
        secret = read_token(path).secret
    except ValueError:
        secret = secrets.token_urlsafe(32)
    text = certificate.read_text() if certificate is not None else ""
    write_atomically(path, f"{secret}\n{text}".encode(), mode=0o600)
    return secret


class First:
    """Answers a standby, if there is one."""

    def __init__(self, fleet: str, watcher: str, here: Here, queue: Queue) -> None:
        """`watcher` is a word for this run, by which two watchers are told apart."""
        self._fleet = fleet
        self._watcher = watcher
        self._here = here
        self._queue = queue
        self._lease = Lease(self._remembered(), here.instant())
        self._news = asyncio.Event()
        self._asked_at: float | None = None
        self._taken = ""
        self._taking: tuple[str, bool] | None = None
        # Whether this one may notify at all: not while it stands by itself.
        self.is_standing_by = lambda: False

    def may_send(self) -> bool:
        """Whether notifications may be sent: no standby can have sent them unnoticed."""
        return self._lease.may_notify(self._here.instant()) and self._taking is None

    def note_delivered(self) -> None:
        """Something was sent, which a waiting standby hears at once."""
        self._news.set()

    def describe(self) -> dict[str, Any] | None:
        """For /api/status; None where no standby asked in this run."""
        if self._asked_at is None:
            return None
        problem = _STATES[self._lease.state] if self._lease.state != "accompanied" else ""
        return {"role": "first", "of": "", "problem": problem, "asked_timestamp": self._asked_at}

    async def run(self) -> None:
        """Looks at the clock often enough to find out that this watcher was stopped; until cancelled."""
        logged = "alone"
        while True:
            self._lease.may_notify(self._here.instant())
            if self._lease.state != logged:
                logged = self._lease.state
                log.info("standby: %s", _STATES[logged])
            after = self._lease.after
            await asyncio.sleep(_ALONE_SECONDS if after is None else min(_LONGEST_CHECK_SECONDS, after / 10))

    async def answer(self, question: Question) -> Answer:
        """The answer, at the latest after the seconds that the question gives."""
        self._remember(question.after)
        was_alone = self._lease.state == "alone"
        if not self._lease.note(question.nonce, question.after, self._here.instant()):
            return self._make(question, has_taken=False)
        self._asked_at = time.time()
        is_notifying = self._is_notifying()
        if question.knowledge is not None and question.period != self._taken:
            if is_notifying:
                self._take(question, was_alone=was_alone)
                await self._wait(lambda: self._taken == question.period, question.wait_seconds)
        elif is_notifying:
            await self._wait(lambda: self._version() != question.version, question.wait_seconds)
        return self._make(question, has_taken=bool(question.period) and self._taken == question.period)

    def _take(self, question: Question, *, was_alone: bool) -> None:
        assert question.knowledge is not None
        # Who notified beside its standby knows as much as that one; who was away knows less.
        are_both = self._taking[1] if self._taking is not None else was_alone
        self._taking = (question.period, are_both)

        def done() -> None:
            self._taken, self._taking = question.period, None
            self._here.dispatcher.skip_digest(time.time())
            self._here.dispatcher.announce("handed_back", socket.gethostname())
            log.info("standby: it hands back; this watcher notifies again")
            self._news.set()

        self._here.loop.hand_over = Taking(
            self._here, question.knowledge, done=done, keeps_firing=are_both, are_both=are_both
        )

    def _make(self, question: Question, *, has_taken: bool) -> Answer:
        knowledge = self._here.knowledge()
        version = version_of(knowledge)
        return Answer(
            watcher=self._watcher,
            fleet=self._fleet,
            nonce=self._lease.nonce,
            version=version,
            is_notifying=self._is_notifying(),
            has_taken=has_taken,
            knowledge=None if version == question.version else knowledge,
        )

    def _version(self) -> str:
        return version_of(self._here.knowledge())

    def _is_notifying(self) -> bool:
        return self._here.loop.is_healthy() and not self.is_standing_by()

    async def _wait(self, is_due: Any, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not is_due() and (left := deadline - time.monotonic()) > 0:
            self._news.clear()
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return

    def _remembered(self) -> float | None:
        """The delay of a standby that asked before this start; None if there is none."""
        asked, after = self._queue.mark(_ASKED), self._queue.mark(_AFTER)
        is_known = asked is not None and after is not None and abs(time.time() - asked) < FORGET_SECONDS
        return after if is_known else None

    def _remember(self, after: float) -> None:
        asked = self._queue.mark(_ASKED)
        if asked is None or abs(time.time() - asked) > _NOTED_SECONDS or self._queue.mark(_AFTER) != after:
            self._queue.set_mark(_ASKED, time.time())
            self._queue.set_mark(_AFTER, after)


_STATES = {
    "alone": "it does not ask any more; this watcher notifies all the same",
    "doubt": "it has not asked, or this watcher was stopped; notifications wait until it asks, or is found gone",
    "accompanied": "it asks, and stands by",
}
