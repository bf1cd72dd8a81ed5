"""What text a service takes: how long it may be, counted as the service counts, and nothing in it that it would obey.

Titles and bodies hold what others wrote: peers' names, log lines, comments. A service that gives letters a meaning gets
them so that it shows them.
"""

import json
import re
from collections.abc import Mapping
from html import escape
from math import ceil
from typing import NamedTuple

from alerts.messages.single import MAX_TITLE_LENGTH, Measure, Message

LONGEST_BODY = 3500
TITLE_ROOM = 250
# Between a title and the body below it.
_TITLE_END = 2


class ByteLimit(NamedTuple):
    """The bytes that a body may have in UTF-8, or in JSON with `\\uXXXX` for each letter that is not ASCII."""

    size: int
    is_json: bool = False

    def measure(self, text: str) -> int:
        return len(json.dumps(text)) - 2 if self.is_json else len(text.encode(errors="replace"))


# By apprise's plug-in; all other services count characters, or take more than LONGEST_BODY characters have bytes.
BYTE_LIMITS: Mapping[str, ByteLimit] = {
    "bark": ByteLimit(3000),  # Apple takes 4096 bytes with the title, the icon's address and the rest.
    "dingtalk": ByteLimit(19_985, is_json=True),
    "fcm": ByteLimit(3000),
    "feishu": ByteLimit(19_985, is_json=True),  # The limit is that of the request.
    "gorush": ByteLimit(3000),
    "irc": ByteLimit(380),
    "lark": ByteLimit(19_985, is_json=True),
    # 4096 in UTF-8; apprise sends what has more than 8000 in JSON as a file.
    "ntfy": ByteLimit(7400, is_json=True),
    "prowl": ByteLimit(10_000),
    "pushy": ByteLimit(3000),
    "threema": ByteLimit(3500),
    "vapid": ByteLimit(3000),
    "wechat": ByteLimit(2048),
    "wecombot": ByteLimit(2048),
}
# Apprise sends plain text to these as it is, and they read it as Markdown.
_MARKDOWN = frozenset(("discord", "fluxer", "guilded", "mattermost", "nextcloudtalk", "revolt", "serverchan", "zulip"))
_MARKS = re.compile(r"[\\`*_\[\]]")
_MORE_MARKS = re.compile(r"[\\`*_\[\]~|]")
# Those where a name in a text calls people.
_CALLING = frozenset(
    (
        *("bluesky", "cliq", "dingtalk", "discord", "feishu", "flock", "fluxer", "github", "google_chat", "guilded"),
        *("humhub", "kook", "lark", "line", "mastodon", "matrix", "mattermost", "misskey", "nextcloudtalk", "reddit"),
        *("revolt", "rocketchat", "ryver", "slack", "synology", "telegram", "twist", "twitter", "webexteams"),
        *("wechat", "wecombot", "workflows", "zulip"),
    )
)
_CALL = re.compile(
    r"""@(?=everyone|here|all\b|channel|room|online|_all)|(?<![\w./:="'-])@(?=[\w*])|<(?=[@!#]|at\b|users/)"""
)
_UNSEEN = "\u200b"
# Controls, and what turns the direction of the text around it.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class TextLimits(NamedTuple):
    """The longest title and body, in the units of `measure`, and the longest HTML in characters (0: none)."""

    title: int
    body: int
    html: int
    measure: Measure


def find_limits(plugin: str, *, body: int, title: int, is_title_inside: bool, has_html: bool) -> TextLimits:
    """The limits of a plug-in that takes so many characters; `is_title_inside`: the title counts for the body."""
    longest = min(LONGEST_BODY, body)
    room = min(TITLE_ROOM, longest // 3) if is_title_inside else 0
    longest_title = min(MAX_TITLE_LENGTH, room - _TITLE_END if is_title_inside else title)
    limit = BYTE_LIMITS.get(plugin)

    def measure(text: str) -> int:
        shown = show(plugin, text)
        letters = len(escape(shown))
        return letters if limit is None else max(letters, ceil(limit.measure(escape(shown)) * longest / limit.size))

    return TextLimits(longest_title, longest - room, body - room if has_html else 0, measure)


def adapt(plugin: str, message: Message) -> Message:
    """The message as the service has to get it, so that a reader sees what it says."""
    return message._replace(
        title=show(plugin, " ".join(_CONTROLS.sub(" ", message.title).split())),
        body=show(plugin, clean(message.body)),
        html=_hush(plugin, clean(message.html)),
    )


def show(plugin: str, text: str) -> str:
    """Plain text that this service shows as it is, and that calls nobody."""
    if plugin in _MARKDOWN:
        marks = _MARKS if plugin in ("serverchan", "zulip", "nextcloudtalk") else _MORE_MARKS
        text = marks.sub(r"\\\g<0>", text)
    return _hush(plugin, text)


def clean(text: str) -> str:
    """The text without control characters; lines end with a line feed."""
    return _CONTROLS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


def _hush(plugin: str, text: str) -> str:
    return _CALL.sub(rf"\g<0>{_UNSEEN}", text) if plugin in _CALLING else text
