"""Sends a message to a route through apprise, and reports a failure without secrets.

Apprise returns only a boolean. The reason is in what was recorded of the attempt: the services' answers, which also
decide where a service refuses with status 200, and apprise's log records. Both may hold the route's URL.
"""

import contextlib
import re
import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote

import apprise

from alerts.delivery.answers import describe_refusal, judge
from alerts.delivery.attempt import Attempt, listen, record_attempt
from alerts.delivery.outcome import DeliveryResult
from alerts.delivery.service_text import TextLimits, adapt, find_limits
from alerts.delivery.smtp_login import allow_any_language
from alerts.evidence.named_secrets import MASK
from alerts.evidence.redact import redact
from alerts.messages.single import Message

READ_TIMEOUT_SECONDS = 20.0
SECONDS_BETWEEN_MESSAGES = 1.0
MAX_REASON = 300
LONG_SECRET = 12

_MAIL_REPLY = re.compile(r"""\(?\b([45]\d\d), b(['"])(.{1,500}?)\2""")
_LOGIN_REFUSED = ("530", "534", "535")
# Others, such as 552 or 554, may be about one message.
_PERMANENT_REPLIES = (*_LOGIN_REFUSED, "550", "551", "553")
_CAUSES = (
    (re.compile(r"refused", re.IGNORECASE), "connection refused"),
    (re.compile(r"timed out|timeout", re.IGNORECASE), "timed out"),
    (re.compile(r"resolve|name or service|nodename|getaddrinfo", re.IGNORECASE), "unknown host"),
    (re.compile(r"certificate", re.IGNORECASE), "certificate not trusted"),
    (re.compile(r"authenticat|\b535\b", re.IGNORECASE), "login refused"),
    (re.compile(r"unreachable", re.IGNORECASE), "network unreachable"),
    (re.compile(r"connection", re.IGNORECASE), "connection failed"),
)
# Webhooks: programs read them, so they get no chart.
_FOR_PROGRAMS = ("JSON", "XML", "FORM")
_PARTS = re.compile(r"[/@?&=:#+]+")


class RouteError(Exception):
    """A URL that apprise cannot use; the text has the route's name."""


class Bot(Protocol):
    """Sends a route's messages instead of apprise, with buttons."""

    def send(self, message: Message) -> DeliveryResult: ...

    def send_image(self, image: bytes) -> None: ...


class Sender:
    """Holds one apprise service per route."""

    def __init__(self, urls: Mapping[str, str], bots: Mapping[str, Bot] | None = None) -> None:
        """`urls` are by route name, with all references resolved; a route with a bot uses it. Raises RouteError."""
        self._services = {name: make_service(name, url) for name, url in urls.items()}
        self._secrets = {name: _find_secrets(url, self._services[name]) for name, url in urls.items()}
        self.secrets = set().union(*self._secrets.values())
        self.bots = dict(bots or {})

    @property
    def routes(self) -> tuple[str, ...]:
        return tuple(self._services)

    def service(self, route: str) -> apprise.NotifyBase:
        return self._services[route]

    def describe(self, route: str) -> str:
        """The name of a route's service, such as `Telegram`."""
        return str(self._services[route].service_name)

    def count_recipients(self, route: str) -> int:
        """The number of recipients of the route's URL."""
        return len(self._services[route])

    def limits(self, route: str) -> TextLimits:
        """The longest texts that a route's service takes; HTML only where it shows that by default."""
        service = self._services[route]
        return find_limits(
            name_plugin(service),
            body=int(service.body_maxlen),
            title=int(service.title_maxlen),
            is_title_inside=not service.title_maxlen or service.overflow_amalgamate_title,
            has_html=service.resolve_format() == apprise.NotifyFormat.HTML,
        )

    def image_place(self, route: str) -> Literal["", "inside", "after"]:
        """Whether a chart is sent in the message, after it, or not at all.

        Only an e-mail is accepted or refused as a whole; elsewhere a failed image would resend the text.
        """
        service = self._services[route]
        if not service.attachment_support or service.service_name in _FOR_PROGRAMS:
            return ""
        return "inside" if service.service_name == "E-Mail" else "after"

    def send_image(self, route: str, image: bytes) -> None:
        """Sends a chart after its message; a refused one is dropped."""
        if route in self.bots:
            self.bots[route].send_image(image)
        else:
            self._notify(route, "", "", apprise.NotifyFormat.TEXT, image)

    def send(self, route: str, message: Message) -> DeliveryResult:
        """Sends a message, as HTML if it has any, and waits for the service's response; never raises."""
        if route in self.bots:
            return self.bots[route].send(message)
        message = adapt(name_plugin(self._services[route]), message)
        if not message.html:
            return self._notify(route, message.title, message.body, apprise.NotifyFormat.TEXT, message.image)
        # For a service without titles, apprise puts the title into the HTML body.
        title = message.title if self._services[route].title_maxlen else escape(message.title)
        outcome = self._notify(route, title, message.html, apprise.NotifyFormat.HTML, message.image)
        if outcome.is_malformed:  # A user's template may have HTML that the service rejects.
            outcome = self._notify(route, message.title, message.body, apprise.NotifyFormat.TEXT, message.image)
        return outcome

    def _notify(
        self, route: str, title: str, body: str, body_format: apprise.NotifyFormat, image: bytes = b""
    ) -> DeliveryResult:
        with record_attempt() as attempt:
            try:
                notifier = apprise.Apprise(asset=_Asset())
                notifier.add(self._services[route])
                with _as_file(image) as attachment:
                    accepted = bool(notifier.notify(body=body, title=title, body_format=body_format, attach=attachment))
            except Exception as error:  # noqa: BLE001  # A plug-in may raise anything, with the URL in its text.
                return DeliveryResult(False, f"{type(error).__name__} in the {self.describe(route)} plug-in")
        result = explain(name_plugin(self._services[route]), attempt, accepted=accepted)
        return result._replace(reason=hide(result.reason, self._secrets[route])) if result.reason else result


def explain(plugin: str, attempt: Attempt, *, accepted: bool) -> DeliveryResult:
    """The result of an attempt; the reason is what was said, secrets included."""
    refusals = [(answer, judge(plugin, answer)) for answer in attempt.answers]
    # A plug-in knows which statuses its service means, and may have tried again; a code in a good answer is final.
    results = [result for answer, result in refusals if result is not None and not (accepted and answer.status >= 400)]
    if results:
        return results[-1]
    if accepted:
        return DeliveryResult(True)
    text = "\n".join(attempt.records)
    reply = _MAIL_REPLY.search(text)
    if reply is not None:
        words = reply[3].replace("\\r", " ").replace("\\n", " ")
        head = "login refused" if reply[1] in _LOGIN_REFUSED else "the mail server refused the message"
        return DeliveryResult(False, f"{head}: {reply[1]} {words}", is_permanent=reply[1] in _PERMANENT_REPLIES)
    cause = next((words for pattern, words in _CAUSES if pattern.search(text)), "")
    if not cause and attempt.answers:
        return describe_refusal(plugin, attempt.answers[-1])
    return DeliveryResult(False, cause or "the service did not accept the message")


def hide(reason: str, secrets: Collection[str]) -> str:
    """A reason on one line, bounded, without these secrets or any that is known by its form."""
    for secret in sorted(secrets, key=len, reverse=True):
        # A short one, such as a login, may be a part of an innocent number or word.
        edge = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
        pattern = re.escape(secret) if len(secret) >= LONG_SECRET else f"{edge[0]}{re.escape(secret)}{edge[1]}"
        reason = re.sub(pattern, MASK, reason)
    return redact(reason, MAX_REASON)


def name_plugin(service: apprise.NotifyBase) -> str:
    """The name of a service's plug-in, such as `dingtalk`."""
    return type(service).__module__.removeprefix("apprise.plugins.").partition(".")[0]


@contextlib.contextmanager
def _as_file(image: bytes) -> Iterator[str | None]:
    """The path of a file with the image; None without an image."""
    if not image:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="peerwatch-") as folder:
        path = Path(folder) / "chart.png"
        path.write_bytes(image)
        yield str(path)


class _Asset(apprise.AppriseAsset):
    """Sends in the calling thread: apprise's own timeout uses a small thread pool that hung calls exhaust."""

    app_id = "Peerwatch"
    app_desc = "Peerwatch alerts"
    app_url = ""
    async_mode = False
    _service_timeout = 0.0


def _find_secrets(url: str, service: apprise.NotifyBase) -> set[str]:
    """What no log may show: the URL, its parts that apprise masks, and parts long enough to be a token."""
    shown = set(_PARTS.split(unquote(service.url(privacy=True))))
    parts = {part for part in _PARTS.split(url) if len(part) >= 20 or (len(part) >= 6 and part not in shown)}
    return {url} | parts | {unquote(part) for part in parts}


def make_service(name: str, url: str) -> apprise.NotifyBase:
    """The apprise service of a resolved URL; raises RouteError, which does not show the URL."""
    listen()
    service = _instantiate(url)
    if service is None:
        raise RouteError(f"route {name}: apprise does not understand its URL; see https://appriseit.com/services/")
    _use_utf8(service)
    # With `optional`, apprise reports a failure as a success, and the notification would be lost.
    service.optional = False
    # A service that accepts a message but responds late would get it again; apprise waits only 4 s.
    service.socket_read_timeout = max(service.socket_read_timeout or 0.0, READ_TIMEOUT_SECONDS)
    # Apprise's default rate, one message in 5.5 s, would delay alerts; a plug-in's own is its service's limit.
    if service.request_rate_per_sec == apprise.NotifyBase.request_rate_per_sec:
        service.request_rate_per_sec = SECONDS_BETWEEN_MESSAGES
    return service


def _use_utf8(service: apprise.NotifyBase) -> None:
    """Lets a user's name and password be in any language, where the transport would encode them otherwise or fail."""
    if service.service_name == "E-Mail":
        allow_any_language()
    elif service.service_name in _FOR_PROGRAMS:
        # For HTTP's basic authentication, requests encodes text as Latin-1.
        service.user, service.password = (
            text and text.encode().decode("latin-1") for text in (service.user, service.password)
        )


def _instantiate(url: str) -> apprise.NotifyBase | None:
    try:
        with warnings.catch_warnings():
            # Its e-mail plug-in imports the deprecated imghdr.
            warnings.simplefilter("ignore", DeprecationWarning)
            return apprise.Apprise.instantiate(url, asset=_Asset(), suppress_exceptions=True)
    except Exception:  # noqa: BLE001  # As in `send`; the cause would show the URL.
        return None
