"""The standby's side: asks the first watcher what it has notified of, takes over from it, and hands back."""

import asyncio
import json
import logging
import math
import secrets
import time
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import TypeAdapter, ValidationError

from alerts.delivery.outbox import Outbox
from alerts.delivery.settings import StandbyOf
from alerts.engine.evaluate import Key
from alerts.i18n.translatable import say
from alerts.standby.exchange import MAX_BYTES, PATH, Answer, Here, Question, Taking
from alerts.standby.knowledge import Knowledge, notified_after
from alerts.standby.lease import Instant, Silence
from alerts.standby.token import TOKEN_FILE, Token, make_context
from exporter.run_folder import read_bounded, write_atomically

# In the state folder: what the first watcher said last, for a start without it.
FILE = "standby.json"
_KEPT: TypeAdapter[Knowledge | None] = TypeAdapter(Knowledge | None)

State = Literal["standing by", "taking over", "notifying", "handing back"]

log = logging.getLogger(__name__)


class AwayError(Exception):
    """The first watcher does not answer as one; `reason` is one line, of `say` unless another one has written it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Second:
    """Stands by for the first watcher. `state`: it stands by, takes over, notifies itself, or hands back."""

    def __init__(
        self, settings: StandbyOf, token: Token, fleet: str, watcher: str, here: Here, outbox: Outbox, state_dir: Path
    ) -> None:
        self._settings = settings
        self._token = token
        self._fleet = fleet
        self._watcher = watcher
        self._here = here
        self._outbox = outbox
        self._path = state_dir / FILE
        self.state: State = "standing by"
        self.problem = ""
        self._nonce = self._version = self._period = ""
        # An attempt ends within the wait for news and the time for the answer, and a pause follows.
        self._silence = Silence(settings.wait_seconds + 2 * settings.pause_seconds + 1.0)
        # Nothing is sent before the first one was asked.
        self._attempted_at = Instant(-math.inf, -math.inf)
        self._theirs: Knowledge | None = None
        here.dispatcher.leave(lambda _: True)
        self._resume()

    @property
    def is_standing_by(self) -> bool:
        """Whether the first one notifies, as far as is known."""
        return self.state in ("standing by", "taking over")

    def may_send(self) -> bool:
        """Whether notifications may be sent: those that are not the first one's, or all after taking over from it."""
        if self.state == "standing by":
            return self._theirs is not None
        # After a sleep, the first one may be back: it is asked before anything is sent.
        is_fresh = self._here.instant().since(self._attempted_at) <= self._settings.after / 2 + 1.0
        return self.state == "notifying" and is_fresh

    def describe(self) -> dict[str, Any]:
        """For /api/status."""
        role = "standing by" if self.is_standing_by else "notifying"
        return {"role": role, "of": self._settings.url, "problem": self.problem, "asked_timestamp": None}

    async def run(self) -> None:
        """Asks until cancelled."""
        verify = make_context(self._token) if self._settings.url.startswith("https:") else False
        headers = {"Authorization": f"Bearer {self._token.secret}"}
        async with httpx.AsyncClient(
            base_url=self._settings.url, headers=headers, verify=verify, trust_env=False, timeout=None
        ) as client:
            while True:
                began = time.monotonic()
                try:
                    pause = self._hear(await self._ask(client))
                except AwayError as error:
                    pause = self._settings.pause_seconds
                    self._miss(error.reason, time.monotonic() - began + pause)
                except Exception:  # The guard: a full disk, or what a foreign answer may hold.
                    log.exception("standby: cannot stand by; next attempt in %g s", self._settings.pause_seconds)
                    pause = self._settings.pause_seconds
                    self._miss(say("its answer could not be used"), time.monotonic() - began + pause)
                self._attempted_at = self._here.instant()
                await asyncio.sleep(pause)

    async def _ask(self, client: httpx.AsyncClient) -> Answer:
        wait = self._settings.wait_seconds
        question = Question(
            watcher=self._watcher,
            nonce=self._nonce,
            version=self._version,
            after=self._settings.after,
            wait_seconds=0.0 if self.state == "notifying" else wait,
        )
        if self.state == "handing back":
            await self._end_attempts()
            question = question.model_copy(update={"period": self._period, "knowledge": self._here.knowledge()})
        try:
            async with asyncio.timeout(wait + self._settings.pause_seconds):
                return await _post(client, question)
        except TimeoutError:
            raise AwayError(say("no answer")) from None
        except httpx.ConnectError as error:
            untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            reason = say("its certificate is not the one of the token's file") if untrusted else say("no connection")
            raise AwayError(reason) from None
        except httpx.HTTPError:
            raise AwayError(say("the connection broke")) from None
        except ValidationError:
            raise AwayError(say("its answer is not a watcher's, or another release's")) from None

    def _hear(self, answer: Answer) -> float:
        """What follows from an answer; returns the seconds until the next question."""
        if answer.watcher == self._watcher:
            raise AwayError(say("that is this watcher itself"))
        if answer.fleet != self._fleet:
            raise AwayError(say("it watches the fleet {fleet}", fleet=answer.fleet))
        if not answer.is_notifying:
            raise AwayError(say("it does not evaluate its rules, or stands by itself"))
        is_news, self._nonce = answer.nonce != self._nonce, answer.nonce
        if self.state == "notifying":
            self.state, self._period = "handing back", secrets.token_urlsafe(12)
            log.info("standby: %s answers again; handing back", self._settings.url)
        elif self.state == "handing back":
            if not answer.has_taken or answer.knowledge is None:
                return 0.05 if is_news else 0.0
            self._stand_by(answer.knowledge)
            self._version = answer.version
        elif answer.knowledge is not None:
            self._keep(answer.knowledge)
            self._version = answer.version
        if self.state == "taking over":
            self.state, self._here.loop.hand_over = "standing by", None
        self._here.dispatcher.ended.clear()
        self._silence.end()
        if self.problem:
            log.info("standby: %s answers", self._settings.url)
        self.problem = ""
        return 0.0 if is_news else 0.05

    def _miss(self, problem: str, elapsed: float) -> None:
        if problem != self.problem:
            log.warning("standby: %s: %s", self._settings.url, problem)
        self.problem = problem
        if self._silence.add(elapsed) < self._settings.after:
            return
        if self.state == "handing back":
            self.state = "notifying"
        elif self.state == "standing by":
            self._take_over()

    def _take_over(self) -> None:
        self.state = "taking over"

        def done() -> None:
            self.state, self._version = "notifying", ""
            dispatcher = self._here.dispatcher
            dispatcher.leave(None)
            dispatcher.ended.clear()
            dispatcher.announce("took_over", self._settings.url)
            self._write(None)
            log.warning("standby: %s is gone (%s): this watcher notifies now", self._settings.url, self.problem)

        # Without a word of the first one, what this watcher notified of itself is all that is known.
        theirs = self._theirs if self._theirs is not None else Knowledge()
        self._here.loop.hand_over = Taking(self._here, theirs, done=done, ended=self._here.dispatcher.ended)

    def _stand_by(self, theirs: Knowledge) -> None:
        """The first one notifies again."""
        mine, dispatcher = self._here.knowledge(), self._here.dispatcher
        self.state = "standing by"
        self._keep(theirs)
        dispatcher.adopt(notified_after(dispatcher.routes, mine, theirs))
        log.info("standby: %s notifies again; this watcher stands by", self._settings.url)

    def _keep(self, theirs: Knowledge) -> None:
        if theirs.notified and not set(theirs.notified) & set(self._here.dispatcher.routes):
            log.warning("standby: the first watcher's routes have other names: %s", ", ".join(theirs.notified))
        self._heed(theirs)
        self._write(theirs)

    def _heed(self, theirs: Knowledge) -> None:
        self._theirs, subjects = theirs, frozenset(theirs.subjects)
        self._here.dispatcher.leave(subjects.__contains__)
        self._here.dispatcher.borrow(theirs.make_silences(), [Key(*pair) for pair in theirs.acknowledged])

    async def _end_attempts(self) -> None:
        """Waits a while for attempts in progress: what they achieve is to be told."""
        deadline = time.monotonic() + self._settings.after / 4
        while self._outbox.is_sending and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    def _resume(self) -> None:
        """Goes on where the last run ended."""
        try:
            kept = _KEPT.validate_json(read_bounded(self._path, MAX_BYTES))
        except (OSError, ValueError):
            return
        if kept is None:
            self.state = "notifying"
            self._here.dispatcher.leave(None)
        else:
            self._heed(kept)

    def _write(self, theirs: Knowledge | None) -> None:
        """Keeps the first one's last word for the next start; None: this watcher has taken over from it."""
        self._theirs = theirs
        try:
            write_atomically(self._path, _KEPT.dump_json(theirs), mode=0o600)
        except OSError as error:
            log.warning("standby: cannot write %s: %s", self._path, error.strerror)


async def _post(client: httpx.AsyncClient, question: Question) -> Answer:
    content = bytearray()
    async with client.stream("POST", PATH, json=question.model_dump(mode="json")) as response:
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MAX_BYTES:
                raise AwayError(say("its answer is larger than {mebibytes} MiB", mebibytes=MAX_BYTES >> 20))
    if response.status_code != 200:
        raise AwayError(_refusal(response.status_code, bytes(content[:4096])))
    return Answer.model_validate_json(content)


def _refusal(status: int, content: bytes) -> str:
    if status == 404:
        return say("it is no watcher of Peerwatch, or an older one")
    if status == 401:
        return say("the token is not its; copy {file} from its state folder again", file=TOKEN_FILE)
    try:
        reason = str(json.loads(content)["detail"])
    except (ValueError, KeyError, TypeError):
        return say("it answered {status}", status=status)
    return " ".join("".join(c for c in reason if c.isprintable()).split())[:200]
