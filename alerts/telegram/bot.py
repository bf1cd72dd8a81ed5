"""A client of Telegram's Bot API, for routes with commands: apprise can neither add buttons nor receive.

No error of this module contains the token, which is part of every URL.
"""

import logging
import re
from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

import httpx

from alerts.delivery.answers import Answer, judge
from alerts.delivery.apprise_sender import RouteError, hide, make_service
from alerts.delivery.outcome import DeliveryResult
from alerts.delivery.service_text import adapt
from alerts.messages.single import Message, shorten

API = "https://api.telegram.org"
# https://core.telegram.org/bots/api#sendmessage
MAX_TEXT_LENGTH = 4096
SEND_SECONDS = 30.0
Buttons = tuple[tuple[str, str], ...]
_BREAK = re.compile(r"\s*<br\s*/?>\s*")

log = logging.getLogger(__name__)


class Chat(NamedTuple):
    """A chat by its number, and a topic in it, if any."""

    id: int
    topic: int | None = None


class Refused(Exception):
    """The Bot API refused a request, or could not be reached; the text is safe to show."""

    def __init__(self, result: DeliveryResult, status: int = 0) -> None:
        super().__init__(result.reason)
        self.result = result
        self.status = status


class Bot:
    """A bot and its chats."""

    def __init__(self, token: str, chats: tuple[Chat, ...], *, is_silent: bool = False) -> None:
        self.token = token
        self.chats = chats
        self._is_silent = is_silent

    @property
    def id(self) -> str:
        """The bot's number, which is no secret."""
        return self.token.partition(":")[0]

    def send(self, message: Message) -> DeliveryResult:
        """Sends a message to every chat; never raises."""
        message = adapt("telegram", message)
        try:
            with httpx.Client(timeout=SEND_SECONDS) as client:
                for chat in self.chats:
                    self._send_to(client, chat, message)
        except Refused as refusal:
            return refusal.result
        return DeliveryResult(True)

    def send_image(self, image: bytes) -> None:
        """Sends a PNG to every chat, without a sound: its message made one. A failure is only logged."""
        for chat in self.chats:
            data = {"chat_id": str(chat.id), "disable_notification": "true"}
            if chat.topic is not None:
                data["message_thread_id"] = str(chat.topic)
            try:
                files = {"photo": ("chart.png", image, "image/png")}
                self._read(httpx.post(self._url("sendPhoto"), data=data, files=files, timeout=SEND_SECONDS))
            except (httpx.HTTPError, httpx.InvalidURL, OSError, Refused) as error:
                log.info("telegram: chart not delivered: %s", _explain(error))

    def _send_to(self, client: httpx.Client, chat: Chat, message: Message) -> None:
        plain = {"text": shorten(f"{message.title}\n{message.body}", MAX_TEXT_LENGTH)}
        html = f"<b>{escape(message.title, quote=False)}</b>\n{_BREAK.sub(chr(10), message.html)}"
        texts = [{"text": html, "parse_mode": "HTML"}] if message.html and len(html) < MAX_TEXT_LENGTH else []
        for number, text in enumerate([*texts, plain], start=1):
            try:
                self._post(client, chat, text, message.buttons)
            except Refused as refusal:
                # A user's template may hold HTML that Telegram rejects.
                if not refusal.result.is_malformed or number > len(texts):
                    raise
            else:
                return

    def _post(self, client: httpx.Client, chat: Chat, text: dict[str, str], buttons: Buttons) -> None:
        payload: dict[str, Any] = {
            **text,
            "chat_id": chat.id,
            "disable_notification": self._is_silent,
            "link_preview_options": {"is_disabled": True},
        }
        if chat.topic is not None:
            payload["message_thread_id"] = chat.topic
        if buttons:
            row = [{"text": label, "callback_data": data} for label, data in buttons]
            payload["reply_markup"] = {"inline_keyboard": [row]}
        try:
            response = client.post(self._url("sendMessage"), json=payload)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _explain(error) from None
        self._read(response)

    async def call(self, client: httpx.AsyncClient, method: str, payload: Mapping[str, Any]) -> Any:
        """The `result` of a method; raises Refused."""
        try:
            response = await client.post(self._url(method), json=dict(payload))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _explain(error) from None
        return self._read(response)

    def _read(self, response: httpx.Response) -> Any:
        """The `result` of an answer; raises Refused with Telegram's words."""
        refusal = judge("telegram", Answer(response.status_code, response.content))
        if refusal is None:
            try:
                return response.json()["result"]
            except (ValueError, TypeError, KeyError, RecursionError):
                refusal = DeliveryResult(False, f"the service answered {response.status_code} without a result")
        reason = hide(refusal.reason, {self.token, self.token.partition(":")[2]})
        raise Refused(refusal._replace(reason=reason), response.status_code)

    def _url(self, method: str) -> str:
        return f"{API}/bot{self.token}/{method}"


def make_bot(name: str, url: str) -> Bot:
    """The bot of a route that takes commands; raises RouteError."""
    service = make_service(name, url)
    if service.service_name != "Telegram":
        raise RouteError(f"route {name}: only a tgram:// URL takes `commands`")
    if not service.targets or not all(isinstance(chat, int) for chat, _ in service.targets):
        raise RouteError(f"route {name}: `commands` needs the chats' numbers in the URL: tgram://TOKEN/CHAT")
    chats = tuple(Chat(chat, topic) for chat, topic in service.targets)
    return Bot(service.bot_token, chats, is_silent=bool(service.silent))


def _explain(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    reason = "connection failed"
    if isinstance(error, httpx.TimeoutException):
        reason = "request timed out"
    elif isinstance(error, httpx.ProxyError):
        reason = "proxy refused the connection"
    return Refused(DeliveryResult(False, reason))
