"""What a service's HTTP answer says: whether it refused the message, why, and whether that may change. Pure.

Some services answer 200 and refuse all the same, with a code in the body. Most of apprise's plug-ins judge by the
status alone, so `SIGNS` has, by plug-in, where such a service says it and what it then says. Only what is listed there
counts: a guess that takes an accepted message for refused would repeat it for a week. docs/routes.md has the plug-ins
that need no entry, and why.
"""

import json
import re
from collections.abc import Iterator, Mapping
from html import unescape
from http import HTTPStatus
from typing import Any, NamedTuple

from alerts.delivery.outcome import DeliveryResult

MAX_REASON_LENGTH = 200
# Values of a field that has nothing to say, as JSON in lower case.
_NOTHING = frozenset(("null", "", "[]", "{}", "false", "0"))
_REASONS = (
    *("description", "errmsg", "error_description", "errorMessage", "error_message", "error-text", "error_text"),
    *("message", "Message", "msg", "error", "errors", "reason", "detail", "details", "info", "StatusMessage", "title"),
)
_RATE_LIMITED = re.compile(
    r"too (?:fast|frequent|many (?:requests|messages|attempts|calls))|rate.?limit|throttl|frequency.limit|slow down"
    r"|过于频繁|频率|频繁|限流",
    re.IGNORECASE,
)
_RETRY_AFTER = re.compile(r"retry[ _-]after[\"']?\s{0,4}[:=]?\s{0,4}[\"']?(\d{1,9}(?:\.\d{1,9})?)", re.IGNORECASE)
_TAG = re.compile(r"(<[^<>]{0,2000}>)")
_UNSHOWN = re.compile(r"<(/?)(?:style|script|head)\b", re.IGNORECASE)
# Of a long body, so much is read for its reason.
_READ_BYTES = 32_768
_PERMANENT = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE))


class Answer(NamedTuple):
    """A response: its status, its body and its Retry-After in seconds, if any.

    `lost_on_way_to` is the address of a redirect that was followed without the message, as a 301 of a POST is.
    """

    status: int
    body: bytes = b""
    retry_after_seconds: float | None = None
    lost_on_way_to: str = ""


class Sign(NamedTuple):
    """A field of an answer that says whether the message was refused.

    `path` are keys joined by dots; a list on the way stands for each of its entries. Values are compared as JSON in
    lower case. The message was refused where a value is one of `refused`, or none of `accepted` if these are given. A
    field that is missing says nothing. `rate_limited` and `permanent` are such values too.
    """

    path: str
    accepted: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    rate_limited: frozenset[str] = frozenset()
    permanent: frozenset[str] = frozenset()

    def find_refusal(self, content: object) -> str | None:
        """The first value by which the message was refused."""
        for value in _find_values(content, self.path.split(".")):
            shown = json.dumps(value, ensure_ascii=False).strip('"').lower()
            if shown in self.refused or (self.accepted and shown not in self.accepted):
                return shown
        return None


def _only(path: str, *accepted: str, rate_limited: str = "", permanent: str = "") -> Sign:
    return Sign(
        path,
        frozenset(accepted),
        rate_limited=frozenset(rate_limited.split()),
        permanent=frozenset(permanent.split()),
    )


def _not(path: str, *refused: str) -> Sign:
    return Sign(path, refused=frozenset(refused))


def _absent(path: str) -> Sign:
    return Sign(path, accepted=_NOTHING)


# https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
_FEISHU = tuple(
    _only(path, "0", rate_limited="9499 11232 99991400", permanent="19001 19021 19022 19024")
    for path in ("code", "StatusCode")
)
# By the names of apprise's plug-ins.
SIGNS: Mapping[str, tuple[Sign, ...]] = {
    "bark": (_only("code", "200"),),
    "bulkvs": (_not("Results.Status", "failed", "failure", "error"),),
    "burstsms": (_only("error.code", "success"),),
    "clickatell": (_not("messages.accepted", "false"),),
    "clicksend": (_only("response_code", "success"), _only("data.messages.status", "success")),
    # https://open.dingtalk.com/document/robots/custom-robot-access
    "dingtalk": (_only("errcode", "0", rate_limited="130101 410100", permanent="300001 300005 310000 400013"),),
    "fcm": (_absent("results.error"), _only("failure", "0")),
    "feishu": _FEISHU,
    "fortysixelks": (_not("status", "failed"),),
    "join": (_not("success", "false"),),
    "kakaotalk": (_only("result_code", "0"),),
    "kavenegar": (_only("return.status", "200"),),
    "kodi": (_absent("error"),),
    "lark": _FEISHU,
    "msg91": (_not("type", "error"),),
    "notifiarr": (_not("result", "error"),),
    # A message that reaches some of the devices has an id, and errors for the others.
    "one_signal": (_not("id", ""),),
    "postmark": (_only("ErrorCode", "0", permanent="10"),),
    # An unknown key is accepted, but for no device.
    "pushdeer": (_only("code", "0"), _not("content.result*", "[]")),
    "pushed": (_absent("error"),),
    "pushjet": (_absent("error"),),
    "pushover": (_only("status", "1"),),
    "qq": (_not("success", "false"),),
    "rocketchat": (_not("success", "false"),),
    "sendpulse": (_not("result", "false"),),
    "serverchan": (_only("code", "0"), _only("errno", "0")),
    "seven": (_only("success", "100", permanent="900 901 902"),),
    "smtp2go": (_only("data.failed", "0"),),
    "sparkpost": (_only("results.total_rejected_recipients", "0"),),
    "splunk": (_not("result", "failure"),),
    "spugpush": (_only("code", "200"),),
    "streamlabs": (_not("success", "false"),),
    "synology": (_not("success", "false"),),
    "techuluspush": (_not("success", "false"),),
    "telegram": (_not("ok", "false"),),
    # https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms
    "vonage": (_only("messages.status", "0", rate_limited="1", permanent="4 14"),),
    # https://developer.work.weixin.qq.com/document/path/90313
    "wecombot": (_only("errcode", "0", rate_limited="45009 45033 -1", permanent="93000 93004 93008"),),
    "zulip": (_not("result", "error"),),
}
# Programs that a user wrote may send on to a page of theirs once they have the message; to https they only send away.
_MAY_REDIRECT = frozenset(("custom_form", "custom_json", "custom_xml"))
# Beside those above: services, most run by oneself, that never answer with a web page. One is of whoever stands before
# them: a log-in, a hotel's network, a server that shows its start page for every address.
_NO_PAGES = frozenset(SIGNS) | {
    *(
        "emby",
        "evolution",
        "fluxer",
        "goalert",
        "gotify",
        "home_assistant",
        "humhub",
        "jellyfin",
        "lametric",
        "mastodon",
    ),
    *("matrix", "mattermost", "misskey", "nextcloud", "nextcloudtalk", "ntfy", "parseplatform", "signal_api"),
}
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE)
# healthchecks.io answers 200 and "OK (not found)" or "OK (rate limited)": https://healthchecks.io/docs/http_api/
# Older Uptime Kumas answer 200 and {"ok": false} for a monitor that is unknown or paused.
_HEARTBEAT_REFUSED = re.compile(r"OK \([^()]{1,100}\)", re.IGNORECASE)
# The service answers with this word, or with what went wrong.
WORDS: Mapping[str, str] = {"pushme": "success"}

_TELEGRAM_ADVICE = (
    (
        re.compile("chat not found", re.I),
        "check the chat's number, and start a chat with the bot or add it to the group",
    ),
    (re.compile("bot was blocked", re.I), "unblock the bot in Telegram"),
    (re.compile("bot was kicked|not a member", re.I), "add the bot to the chat again"),
    (re.compile("user is deactivated", re.I), "take another chat"),
    (re.compile("not enough rights|have no rights|CHAT_WRITE_FORBIDDEN", re.I), "allow the bot to write in the chat"),
    (
        re.compile("^(?:unauthorized|not found)$", re.I),
        "the bot's token is refused: take its current one from @BotFather",
    ),
)


def judge(service: str, answer: Answer) -> DeliveryResult | None:
    """The refusal that an answer is, with the service's own words as the reason; None if it is none.

    `service` is the name of apprise's plug-in. The reason is what others wrote: it may hold anything.
    """
    if answer.status >= 400:
        return _explain_status(service, answer)
    if answer.lost_on_way_to:
        return _explain_redirect(service, answer)
    if service in _NO_PAGES and _PAGE.match(answer.body):
        return _refuse(service, answer, "a web page answered, not the service:", read_text(answer.body))
    if service in WORDS and answer.body:
        words = read_text(answer.body)
        return None if words == WORDS[service] else _refuse(service, answer, "", words)
    signs = SIGNS.get(service, ())
    content = _decode(answer.body) if signs else None
    for sign in signs:
        value = sign.find_refusal(content)
        if value is not None:
            name = sign.path.rstrip("*").rpartition(".")[2]
            found = _refuse(service, answer, f"{name} {value or 'empty'}", read_reason(answer.body))
            return found._replace(
                is_rate_limited=found.is_rate_limited or value in sign.rate_limited,
                is_permanent=found.is_permanent or value in sign.permanent,
            )
    return None


def judge_heartbeat(answer: Answer) -> DeliveryResult | None:
    """The refusal that an answer to a dead man's switch is; None if the heartbeat was taken.

    A wrong "refused" is logged once and shown; a wrong "taken" hides that nobody watches.
    """
    if answer.status >= 300:
        return _explain_status("heartbeat", answer)
    if _PAGE.match(answer.body):
        return _refuse("heartbeat", answer, "a web page answered, not the service:", read_text(answer.body))
    words = read_text(answer.body)
    if _HEARTBEAT_REFUSED.fullmatch(words) or _not("ok", "false").find_refusal(_decode(answer.body)):
        return _refuse("heartbeat", answer, "", read_reason(answer.body))
    return None


def describe_refusal(service: str, answer: Answer) -> DeliveryResult:
    """The refusal that a plug-in saw in an answer, in the service's own words."""
    return judge(service, answer) or _refuse(service, answer, "", read_reason(answer.body))


def read_reason(body: bytes) -> str:
    """The service's own words: of JSON the field that names the reason, else the text of the page; one line."""
    content = _decode(body)
    if content is None:
        return read_text(body)
    return _shorten(_find_reason(content, 4))


def read_text(body: bytes) -> str:
    """The text of a body on one line, without tags."""
    text = body[:_READ_BYTES].decode(errors="replace")
    return _shorten(_read_page(text) if text.lstrip()[:1] == "<" else text)


def _read_page(html: str) -> str:
    """What a page shows, without its head, scripts and styles."""
    shown, is_shown = [], True
    for piece in _TAG.split(html):
        unshown = _UNSHOWN.match(piece)
        if unshown:
            is_shown = bool(unshown[1])
        elif is_shown:
            shown.append(" " if _TAG.fullmatch(piece) else piece)
    return unescape("".join(shown))


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_REASON_LENGTH else f"{line[: MAX_REASON_LENGTH - 1]}…"


def _explain_status(service: str, answer: Answer) -> DeliveryResult:
    known = answer.status in HTTPStatus._value2member_map_
    phrase = HTTPStatus(answer.status).phrase if known else "unknown status"
    reason = read_reason(answer.body)
    # Telegram's texts begin with the phrase.
    reason = reason.removeprefix(f"{phrase}: ") if reason != phrase else ""
    is_limited = answer.status == HTTPStatus.TOO_MANY_REQUESTS or bool(_RATE_LIMITED.search(reason))
    advice = _advise(service, answer, reason or phrase)
    is_permanent = answer.status in _PERMANENT or bool(advice)
    text = f"the service answered {answer.status} {phrase}"
    return DeliveryResult(
        False,
        "; ".join(part for part in (f"{text}: {reason}" if reason else text, advice) if part),
        _find_pause(answer),
        is_limited,
        answer.status == HTTPStatus.BAD_REQUEST and not is_permanent,
        is_permanent and not is_limited,
    )


def _explain_redirect(service: str, answer: Answer) -> DeliveryResult | None:
    if service in _MAY_REDIRECT and answer.status != HTTPStatus.MOVED_PERMANENTLY:
        return None
    return DeliveryResult(
        False,
        f"the service answered {answer.status} {HTTPStatus(answer.status).phrase}: it sends requests on to"
        f" {answer.lost_on_way_to}, and the message is lost on the way; put the final address into the route's URL",
        is_permanent=answer.status == HTTPStatus.MOVED_PERMANENTLY,
    )


def _refuse(service: str, answer: Answer, code: str, reason: str) -> DeliveryResult:
    advice = _advise(service, answer, reason)
    words = " ".join(part for part in (code, reason) if part)
    what = "heartbeat" if service == "heartbeat" else "message"
    text = f"the service refused the {what}: {words}" if words else f"the service refused the {what}"
    return DeliveryResult(
        False,
        f"{text}; {advice}" if advice else text,
        _find_pause(answer),
        bool(_RATE_LIMITED.search(reason)),
        is_permanent=bool(advice),
    )


def _advise(service: str, answer: Answer, reason: str) -> str:
    """What to do, where the service's words leave that open."""
    if service == "telegram":
        moved = next(iter(_find_values(_decode(answer.body), ["parameters", "migrate_to_chat_id"])), None)
        if isinstance(moved, int):
            return f"the chat's number is now {moved}: put it into the route's URL"
        return next((advice for pattern, advice in _TELEGRAM_ADVICE if pattern.search(reason)), "")
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return "check the token or the login in the route's URL"
    return ""


def _find_pause(answer: Answer) -> float | None:
    if answer.retry_after_seconds is not None:
        return answer.retry_after_seconds
    found = _RETRY_AFTER.search(answer.body[:_READ_BYTES].decode(errors="replace"))
    return float(found[1]) if found else None


def _decode(body: bytes) -> object:
    """The JSON of a body; None if it is none, or too deep or too large a number to be an answer."""
    try:
        # Of a service that writes its words in another encoding, the code can still be read.
        return json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


def _find_values(content: Any, path: list[str]) -> Iterator[object]:
    """The values at the path; a name that ends in `*` stands for the value itself, though it is a list."""
    if not path:
        yield content
    elif isinstance(content, dict):
        name = path[0].removesuffix("*")
        if name in content:
            found = content[name]
            is_each = isinstance(found, list) and not path[0].endswith("*")
            for entry in found if is_each else [found]:
                yield from _find_values(entry, path[1:])


def _find_reason(content: Any, depth: int) -> str:
    """The text of the first field that names a reason, however it is nested."""
    if isinstance(content, str):
        return content
    if not depth or isinstance(content, bool | int | float) or content is None:
        return ""
    if isinstance(content, list):
        return next((reason for reason in (_find_reason(entry, depth - 1) for entry in content[:5]) if reason), "")
    for name in _REASONS:
        reason = _find_reason(content.get(name), depth - 1)
        if reason:
            return reason
    nested = [value for value in list(content.values())[:20] if isinstance(value, dict | list)]
    return next((reason for reason in (_find_named_reason(value, depth - 1) for value in nested) if reason), "")


def _find_named_reason(content: Any, depth: int) -> str:
    """As `_find_reason`, of objects only: a list of texts names no reason."""
    entries = content[:5] if isinstance(content, list) else [content]
    found = (_find_reason(entry, depth) for entry in entries if isinstance(entry, dict))
    return next((reason for reason in found if reason), "")
