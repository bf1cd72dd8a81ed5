"""A route's apprise URL as Alertmanager's own receivers, without secrets: a file's name stands for them, or a
placeholder where Alertmanager 0.25 reads no file.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from alerts.delivery.apprise_sender import RouteError, make_service
from alerts.delivery.settings import Route
from alerts.secret_references import UnresolvedReferenceError, resolve_url

SECRETS_FOLDER = "/etc/alertmanager/peerwatch"
PLACEHOLDER = "FILL_IN"
_NOWHERE = f"http://{PLACEHOLDER.lower().replace('_', '-')}.invalid/"


class Receiver(NamedTuple):
    """A section of a receiver such as `email_configs`, with its entries, and what a person must do about them."""

    section: str
    entries: list[dict[str, Any]]
    notes: tuple[str, ...] = ()


def describe_receiver(route: Route) -> Receiver:
    """The receiver of Alertmanager's for this route, without the secrets of its URL."""
    try:
        service = make_service(route.name, resolve_url(route.url.get_secret_value()))
    except UnresolvedReferenceError as error:
        return _unknown(f"its URL cannot be read here ({error}); run this again where it can.")
    except RouteError as error:
        return _unknown(f"{str(error).removeprefix(f'route {route.name}: ')}; then run this again.")
    make = _KINDS.get(type(service).__name__)
    if make is None:
        service_name = service.service_name
        return _unknown(f"Alertmanager has no {service_name}; put a webhook bridge's address here, or take this out.")
    receiver = make(service, f"{SECRETS_FOLDER}/{re.sub(r'[^A-Za-z0-9_.-]+', '-', route.name)}")
    for entry in receiver.entries:
        entry["send_resolved"] = True
    return receiver


def _unknown(note: str) -> Receiver:
    """A webhook to nowhere: Alertmanager takes it, and the note says what to do."""
    return Receiver("webhook_configs", [{"url": _NOWHERE, "send_resolved": True}], (note,))


def _email(service: Any, secret: str) -> Receiver:
    entry: dict[str, Any] = {
        "from": service.from_addr[1],
        "smarthost": f"{service.smtp_host}:{service.port or (587 if service.secure else 25)}",
        "require_tls": str(service.secure_mode) != "insecure",
    }
    notes = []
    if service.password:
        entry |= {"auth_username": service.user, "auth_password_file": f"{secret}.password"}
        notes.append(f"write the mail account's password to {secret}.password.")
    if str(service.secure_mode) == "ssl" and not entry["smarthost"].endswith(":465"):
        notes.append("Alertmanager uses implicit TLS on port 465 only, and STARTTLS elsewhere.")
    # One mail each: the other recipients stay hidden, as with `bcc`.
    addresses = dict.fromkeys([address for _, address in service.targets] + sorted(service.cc) + sorted(service.bcc))
    return Receiver("email_configs", [{"to": address, **entry} for address in addresses], tuple(notes))


def _telegram(service: Any, _secret: str) -> Receiver:
    chats = [chat for chat, *_ in service.targets] or [None]
    notes = ["put the bot's token in place of FILL_IN_BOT_TOKEN."]
    if not all(isinstance(chat, int) for chat in chats):
        notes.append("put the chat's number in place of chat_id 1; Alertmanager takes no names.")
    entries = [
        {"bot_token": f"{PLACEHOLDER}_BOT_TOKEN", "chat_id": chat if isinstance(chat, int) else 1} for chat in chats
    ]
    return Receiver("telegram_configs", entries, tuple(notes))


def _slack(service: Any, secret: str) -> Receiver:
    if str(service.mode) == "bot":
        credentials = {"authorization": {"credentials_file": f"{secret}.token"}}
        access: dict[str, Any] = {"api_url": "https://slack.com/api/chat.postMessage", "http_config": credentials}
        note = f"write the bot's token to {secret}.token."
    else:
        access = {"api_url_file": f"{secret}.url"}
        note = f"write the webhook's https://hooks.slack.com/… address to {secret}.url."
    channels = [channel for channel in service.channels if isinstance(channel, str)]
    entries = [{**access, "channel": channel} for channel in channels] or [access]
    return Receiver("slack_configs", entries, (note,))


def _discord(_service: Any, _secret: str) -> Receiver:
    url = f"https://discord.com/api/webhooks/{PLACEHOLDER}_ID/{PLACEHOLDER}_TOKEN"
    return Receiver("discord_configs", [{"webhook_url": url}], ("put the webhook's address in place of webhook_url.",))


def _pagerduty(service: Any, secret: str) -> Receiver:
    entry = {"routing_key_file": f"{secret}.key"}
    if service.region_name == "eu":
        entry["url"] = "https://events.eu.pagerduty.com/v2/enqueue"
    return Receiver("pagerduty_configs", [entry], (f"write the integration key to {secret}.key.",))


def _opsgenie(service: Any, secret: str) -> Receiver:
    entry = {"api_key_file": f"{secret}.key"}
    if service.region_name == "eu":
        entry["api_url"] = "https://api.eu.opsgenie.com/"
    return Receiver("opsgenie_configs", [entry], (f"write the API key to {secret}.key.",))


def _pushover(_service: Any, _secret: str) -> Receiver:
    entry = {"user_key": f"{PLACEHOLDER}_USER_KEY", "token": f"{PLACEHOLDER}_TOKEN"}
    return Receiver("pushover_configs", [entry], ("put the user's key and the application's token in place.",))


def _webhook(service: Any, secret: str) -> Receiver:
    scheme = "https" if service.secure else "http"
    port = f":{service.port}" if service.port else ""
    notes = ["it gets Alertmanager's JSON, not the alert loop's."]
    path = "/"
    if service.fullpath not in ("", "/", None) or service.params:
        # Webhooks often carry their secret in the path.
        path = f"/{PLACEHOLDER}_PATH"
        notes.append("put the address's path in place of FILL_IN_PATH.")
    entry: dict[str, Any] = {"url": f"{scheme}://{service.host}{port}{path}"}
    if service.password:
        entry["http_config"] = {"basic_auth": {"username": service.user, "password_file": f"{secret}.password"}}
        notes.append(f"write the login's password to {secret}.password.")
    return Receiver("webhook_configs", [entry], tuple(notes))


# By the class of apprise's plug-in, since one service has several URL schemes.
_KINDS: Mapping[str, Callable[[Any, str], Receiver]] = {
    "NotifyEmail": _email,
    "NotifyTelegram": _telegram,
    "NotifySlack": _slack,
    "NotifyDiscord": _discord,
    "NotifyPagerDuty": _pagerduty,
    "NotifyOpsgenie": _opsgenie,
    "NotifyPushover": _pushover,
    "NotifyJSON": _webhook,
}
