"""Receives a bot's updates by long polling: commands and buttons of the configured chats only."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any

import httpx

from alerts.delivery.outcome import DeliveryResult
from alerts.delivery.queue import Queue
from alerts.delivery.service_text import clean, show
from alerts.i18n import Words
from alerts.telegram.bot import Bot, Refused
from alerts.telegram.commands import Commands

POLL_SECONDS = 50
# Telegram answers a poll after POLL_SECONDS at the latest.
ANSWER_SECONDS = POLL_SECONDS + 15.0
MAX_UPDATES = 20
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
CONFLICT_PAUSE_SECONDS = 60.0
REFUSED_PAUSE_SECONDS = 300.0
# A command sent while the loop was down may no longer be meant.
STALE_SECONDS = 600.0
_HELD_SECONDS = 1.0

log = logging.getLogger(__name__)


class Updates:
    """The number of the next update is kept in the database, so that a restart repeats nothing."""

    def __init__(self, bot: Bot, chats: Collection[int], commands: Commands, queue: Queue, words: Words) -> None:
        self._bot = bot
        self._chats = frozenset(chats)
        self._commands = commands
        self._queue = queue
        self._words = words
        self._mark = f"telegram {bot.id}"
        # Telegram gives a bot's updates to one reader.
        self.may_ask: Callable[[], bool] = lambda: True
        self._failures = 0
        self._problem = ""
        self._has_dropped = False

    async def run(self) -> None:
        """Receives updates until cancelled."""
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as client:
            while True:
                if not self.may_ask():
                    await asyncio.sleep(_HELD_SECONDS)
                    continue
                try:
                    updates = await self._poll(client)
                except Refused as refusal:
                    await asyncio.sleep(self._note(refusal))
                    continue
                except Exception:  # A full disk must not end the polling.
                    log.exception("telegram: updates could not be processed")
                    await asyncio.sleep(LONGEST_PAUSE_SECONDS)
                    continue
                self._recover()
                for update in updates:
                    await self._take(client, update)

    async def _poll(self, client: httpx.AsyncClient) -> list[dict[str, Any]]:
        wanted = {"timeout": POLL_SECONDS, "limit": MAX_UPDATES, "allowed_updates": ["message", "callback_query"]}
        offset = self._queue.mark(self._mark)
        if offset is not None:
            wanted["offset"] = int(offset)
        updates = await self._bot.call(client, "getUpdates", wanted)
        if not isinstance(updates, list):
            raise Refused(DeliveryResult(False, "the response is not a list"))
        return [one for one in updates if isinstance(one, dict) and isinstance(one.get("update_id"), int)]

    async def _take(self, client: httpx.AsyncClient, update: dict[str, Any]) -> None:
        try:
            await self._handle(client, update)
        except Refused as refusal:
            log.warning("telegram: reply not delivered: %s", refusal)
        except Exception as error:  # noqa: BLE001  # An update is foreign text, which must not be logged.
            log.error("telegram: update could not be handled: %s", type(error).__name__)
        self._queue.set_mark(self._mark, update["update_id"] + 1)

    async def _handle(self, client: httpx.AsyncClient, update: dict[str, Any]) -> None:
        pressed = update.get("callback_query")
        message = pressed.get("message") if pressed else update.get("message")
        chat = message["chat"]["id"] if message else None
        if message is None or chat not in self._chats:
            if not self._has_dropped:
                log.warning("telegram: dropped a message from a chat that is not configured; this is logged once")
            self._has_dropped = True
            return
        if pressed:
            await self._press(client, chat, pressed)
            return
        text = message.get("text")
        if not isinstance(text, str):
            return
        age = time.time() - message.get("date", 0)
        if text.startswith("/") and age > STALE_SECONDS:
            answer = self._words.bot["stale"].format(self._words.duration(age))
        else:
            answer = self._commands.answer(text)
        if answer:
            await self._reply(client, chat, answer, message.get("message_thread_id"))

    async def _press(self, client: httpx.AsyncClient, chat: int, pressed: dict[str, Any]) -> None:
        action, _, number = str(pressed.get("data", "")).partition(":")
        keys = self._queue.alerts_of(int(number)) if number.isdecimal() and len(number) < 16 else []
        answer = self._commands.press(action, keys) if action in ("ack", "silence") else self._words.bot["over"]
        # The toast vanishes; the reply stays for everyone in the chat.
        try:
            await self._bot.call(client, "answerCallbackQuery", {"callback_query_id": pressed.get("id")})
        except Refused as refusal:
            log.debug("telegram: button press has expired: %s", refusal)
        await self._reply(client, chat, answer, pressed["message"].get("message_thread_id"))

    async def _reply(self, client: httpx.AsyncClient, chat: int, text: str, topic: Any) -> None:
        payload = {
            "chat_id": chat,
            "text": show("telegram", clean(text)),
            "link_preview_options": {"is_disabled": True},
        }
        if isinstance(topic, int):
            payload["message_thread_id"] = topic
        await self._bot.call(client, "sendMessage", payload)

    def _note(self, refusal: Refused) -> float:
        """Logs a new problem once; seconds until the next attempt."""
        self._failures += 1
        if refusal.status == HTTPStatus.CONFLICT:
            problem = "another program polls this bot; give Peerwatch a bot of its own"
            pause = CONFLICT_PAUSE_SECONDS
        elif refusal.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
            problem, pause = "the bot's token is refused", REFUSED_PAUSE_SECONDS
        else:
            problem = str(refusal)
            pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures - 1, 10), LONGEST_PAUSE_SECONDS)
        if problem != self._problem:
            log.warning("telegram: not receiving commands: %s", problem)
        self._problem = problem
        return (
            max(pause, (refusal.result.retry_after_seconds or 0.0) + 1.0)
            if refusal.result.retry_after_seconds
            else pause
        )

    def _recover(self) -> None:
        if self._problem:
            log.info("telegram: receiving commands again")
        self._problem, self._failures = "", 0
