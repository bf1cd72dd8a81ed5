"""The question of a standby to the first watcher, and its answer; and a hand-over to a loop."""

import hashlib
import time
from collections.abc import Callable, Collection
from typing import Annotated

from pydantic import Field, StringConstraints

from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.silence_store import SilenceStore
from alerts.engine.evaluate import AlertStates, Key
from alerts.loop import Loop
from alerts.settings import Settings
from alerts.standby.knowledge import Knowledge, describe_knowledge, notified_after, take, without_resolved
from alerts.standby.lease import Instant

PATH = "/api/standby"
MAX_BYTES = 16 << 20

Word = Annotated[str, StringConstraints(max_length=128)]


class Question(Settings):
    """`nonce` and `version` are those of the last answer. While it notifies itself, a standby tells what it notified
    of; `period` names the time since it took over. `wait_seconds` may pass until an answer that has nothing new.
    """

    watcher: Word
    nonce: Word = ""
    version: Word = ""
    after: Annotated[float, Field(ge=2, le=3600)]
    wait_seconds: Annotated[float, Field(ge=0, le=30)] = 0.0
    period: Word = ""
    knowledge: Knowledge | None = None


class Answer(Settings):
    """`is_notifying`: it evaluates, and does not itself stand by. `has_taken`: it notifies, from what it was told.

    `knowledge` is left out where it is that of `version`.
    """

    watcher: Word
    fleet: Word
    nonce: Word
    version: Word = ""
    is_notifying: bool = True
    has_taken: bool = False
    knowledge: Knowledge | None = None


class Here:
    """What this watcher has notified of, as it tells the other one."""

    def __init__(self, loop: Loop, dispatcher: Dispatcher, silences: SilenceStore) -> None:
        self.loop = loop
        self.dispatcher = dispatcher
        self._silences = silences

    def knowledge(self) -> Knowledge:
        delivered, unsent = self.dispatcher.delivered()
        return describe_knowledge(
            self.loop.status.alert_states,
            delivered,
            unsent,
            self.loop.subjects,
            self._silences.silences(time.time()),
            self._silences.acknowledged,
        )

    def instant(self) -> Instant:
        return Instant(time.monotonic(), time.time())


def version_of(knowledge: Knowledge) -> str:
    """Changes with what was notified; how long it fires does not count."""
    plain = {"alerts": {"__all__": {"fired_seconds", "untold_seconds"}}}
    return hashlib.sha256(knowledge.model_dump_json(exclude=plain).encode()).hexdigest()[:16]


class Taking:
    """Takes over from another watcher, whose last word is `theirs`. `done` is called once that is written.

    `keeps_firing`: alerts that only this one has go on; else people were told of their end by the other one.
    """

    def __init__(
        self,
        here: Here,
        theirs: Knowledge,
        *,
        done: Callable[[], None],
        ended: Collection[Key] = (),
        keeps_firing: bool = True,
        are_both: bool = False,
    ) -> None:
        self._here = here
        self._theirs = theirs
        self._done = done
        self._ended = ended
        self._keeps_firing = keeps_firing
        self._are_both = are_both

    def alert_states(self, before: AlertStates, is_mine: Callable[[Key], bool]) -> AlertStates:
        mine = self._here.knowledge()
        dispatcher = self._here.dispatcher
        again = [key for key in self._ended if key in before.firing()]
        self._notified = notified_after(dispatcher.routes, mine, self._theirs, again, are_both=self._are_both)
        kept = before if self._keeps_firing else without_resolved(before, self._theirs)
        return take(kept, mine, self._theirs, [key for key in self._ended if key not in again], is_mine)

    def write(self) -> None:
        self._here.dispatcher.adopt(self._notified)

    def done(self) -> None:
        self._done()
