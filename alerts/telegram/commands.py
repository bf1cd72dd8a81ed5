"""The bot's commands and buttons: status, alerts, acknowledgements and silences."""

import time
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.silence_store import SilenceStore
from alerts.delivery.silences import AckRequest, SilenceRequest, matches
from alerts.durations import parse_duration
from alerts.engine.evaluate import Key
from alerts.engine.peer_state import is_running, read_peer_state
from alerts.engine.status import Status
from alerts.messages.single import Style, format_time, shorten

MAX_ANSWER_LENGTH = 3500
MAX_LINES = 40
BUTTON_SILENCE = "1h"
# One press acknowledges no more than a person can have read.
MAX_BUTTON_ALERTS = 50


class Commands:
    """Answers commands. Runs on the event loop's thread and never blocks."""

    def __init__(
        self, status: Callable[[], Status], dispatcher: Dispatcher, silence_store: SilenceStore, style: Style
    ) -> None:
        self._status = status
        self._dispatcher = dispatcher
        self._silence_store = silence_store
        self._style = style
        self._words = style.words.bot

    def answer(self, text: str, now: float | None = None) -> str:
        """The reply to a command such as `/silence 2h rig-1`; empty for any other text."""
        head, _, rest = text.strip().partition(" ")
        # In a group a command names the bot: /status@peerwatch_bot.
        name = head.partition("@")[0].lower()
        handler = {
            "/status": self._status_text,
            "/alerts": self._alerts_text,
            "/ack": self._acknowledge,
            "/silence": self._silence,
            "/unsilence": self._end_silences,
            "/help": self._help,
            "/start": self._help,
        }.get(name)
        if handler is None:
            return self._words["help"] if name.startswith("/") else ""
        answer = handler(rest.strip()[:300], time.time() if now is None else now)
        return shorten(answer, MAX_ANSWER_LENGTH, mark=self._style.words.shortened)

    def press(self, action: str, keys: Sequence[Key], now: float | None = None) -> str:
        """The reply to the button `ack` or `silence` under a message about these alerts."""
        now = time.time() if now is None else now
        firing = [key for key in keys if key in self._firing()]
        if not firing:
            return self._words["over"]
        if action == "ack":
            for key in firing:
                self._silence_store.acknowledge(AckRequest(rule=key.rule, peer=key.peer), [key])
            return self._words["acknowledged"].format(self._name(firing))
        if len(firing) > MAX_BUTTON_ALERTS:
            return self._words["too_many"]
        for key in firing:
            self._silence_store.silence(SilenceRequest(rule=key.rule, peer=key.peer, lasts=BUTTON_SILENCE), now)  # type: ignore[arg-type]
        until = self._format_time(now + parse_duration(BUTTON_SILENCE))
        return self._words["silenced"].format(self._name(firing), until)

    def _format_time(self, at: float) -> str:
        return format_time(at, self._style.zone, self._style.words)

    def _firing(self) -> list[Key]:
        states = self._status().alert_states.states
        return sorted(key for key, state in states.items() if state.phase == "firing")

    def _name(self, keys: Sequence[Key]) -> str:
        named = [f"{key.rule}{self._style.words.colon}{key.peer}" for key in keys]
        more = [self._words["more"].format(len(named) - 5)] if len(named) > 5 else []
        return self._style.words.comma.join([*named[:5], *more])

    def _help(self, _rest: str, _now: float) -> str:
        return self._words["help"]

    def _status_text(self, _rest: str, now: float) -> str:
        status, words = self._status(), self._style.words
        pages = {peer: scrape.page for peer, scrape in status.scrapes.items()}
        states = {peer: read_peer_state(page) for peer, page in pages.items()}
        lines = [words.digest_peers.format(sum(map(is_running, states.values())), len(pages))]
        for peer, page in sorted(pages.items()):
            state = states[peer]
            rank = page.value("swarm_rank") if page is not None else None
            place = "" if rank is None else f", {self._words['rank'].format(f'{rank:.0f}')}"
            lines.append(f"{peer}{words.colon}{words.terms.get(state, state)}{place}")
        firing = [
            alert for alert in self._dispatcher.describe_alerts(status.alert_states, now) if alert["state"] == "firing"
        ]
        return _limit([*lines[:1], self._words["firing"].format(len(firing)), *lines[1:]], self._words["more"])

    def _alerts_text(self, _rest: str, now: float) -> str:
        alerts = self._dispatcher.describe_alerts(self._status().alert_states, now)
        lines = []
        for alert in (alert for alert in alerts if alert["state"] == "firing"):
            marks = [
                self._words[mark] for mark in ("is_silenced", "is_acknowledged") if alert[mark.removeprefix("is_")]
            ]
            marks += [self._words["is_inhibited"].format(alert["inhibited_by"])] if alert["inhibited_by"] else []
            text = f"{alert['rule']}{self._style.words.colon}{alert['peer']}. {alert['summary']}"
            lines.append(f"{text} [{self._style.words.comma.join(marks)}]" if marks else text)
        silences = [
            self._words["silence"].format(one.id, one.rule, one.peer, self._format_time(one.ends_at))
            for one in self._silence_store.silences(now)
        ]
        return _limit([*(lines or [self._style.words.digest_quiet]), *silences], self._words["more"])

    def _acknowledge(self, rest: str, _now: float) -> str:
        """`/ack` is for all firing alerts, `/ack NAME` for those of a rule or peer."""
        firing = [key for key in self._firing() if not rest or matches(rest, key.rule) or matches(rest, key.peer)]
        for key in firing:
            self._silence_store.acknowledge(AckRequest(rule=key.rule, peer=key.peer), [key])
        return self._words["acknowledged"].format(self._name(firing)) if firing else self._words["none_fires"]

    def _silence(self, rest: str, now: float) -> str:
        lasts, _, peer = rest.partition(" ")
        peer = peer.strip()
        if not lasts or not peer:
            return self._words["usage_silence"]
        try:
            silence = self._silence_store.silence(SilenceRequest(peer=peer, lasts=lasts), now)  # type: ignore[arg-type]
        except ValidationError:
            return self._words["usage_silence"]
        except ValueError:
            return self._words["too_many"]
        known = {*self._status().scrapes, *(key.peer for key in self._status().alert_states.states)}
        reply = self._words["silenced"].format(peer, self._format_time(silence.ends_at))
        return reply if any(matches(peer, one) for one in known) else f"{reply} {self._words['unknown_peer']}"

    def _end_silences(self, rest: str, now: float) -> str:
        """`/unsilence` ends all silences, `/unsilence 3` one, `/unsilence NAME` those of a peer."""
        ended = [one for one in self._silence_store.silences(now) if not rest or rest in (str(one.id), one.peer)]
        for one in ended:
            self._silence_store.end_silence(one.id)
        return self._words["unsilenced"].format(len(ended)) if ended else self._words["no_silence"]


def _limit(lines: Sequence[str], more: str) -> str:
    left = len(lines) - MAX_LINES
    return "\n".join([*lines[:MAX_LINES], *([more.format(left)] if left > 0 else [])])
