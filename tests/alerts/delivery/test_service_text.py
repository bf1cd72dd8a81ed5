"""What a service gets of a text: no more than it takes, in every language, and nothing that it would obey."""

import json
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import parse_qs

import pytest

from alerts.config import AlertsConfig
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.route_style import RouteStyles
from alerts.delivery.service_text import adapt, clean, show
from alerts.engine.evaluate import Event, Key
from alerts.messages.news import News
from alerts.messages.single import Message, shorten
from alerts.telegram.bot import make_bot
from tests.alerts.bot_api import TAGS
from tests.alerts.delivery.refusals import CASES
from tests.alerts.services import Services
from tests.fakes import Mailbox, reserve_ports

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
DISCORD = "discord://123456789012345678/" + "a" * 64
HOSTILE = (
    "<b>bold</b> &amp; *star* _under_ `tick` [x](http://evil.example) @everyone @here @channel @all <!channel> <@U1> "
    '<users/all> <at user_id="all">x</at> @**all** \r\nBcc: evil@example.org\r\n\r\n\x00\x1b[31m\u202egnp.exe\u2066 '
)
LINK = "https://example.org/" + "path/" * 12

TEXTS = ("训练停滞，请检查显存。😀" * 400, f"{LINK} <&> ".join(["é"] * 300), "\U0001f468\u200d\U0001f469e\u0301" * 500)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    services = Services(tmp_path_factory.mktemp("services") / "services.pem")
    yield services
    services.close()


@pytest.fixture
def services(running: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.status, running.body = 200, b"{}"
    running.requests.clear()
    return running


def _compose(sender: Sender, tmp_path: Any, news: list[News], language: str) -> list[Message]:
    route = {"name": "phone", "url": "json://unused"}
    config = AlertsConfig.model_validate(
        {"fleet": "集群", "state_dir": tmp_path, "routes": [route], "language": language}
    )
    return RouteStyles(config, sender).compose("phone", news)


def _events(text: str, peers: list[str]) -> list[News]:
    return [
        News(number, Event(Key("PeerStalled", peer), "firing", 1e9, 1e9, "critical", text, f"| {text}" * 3), 0)
        for number, peer in enumerate(peers)
    ]


def _content(name: str, body: bytes) -> str:
    """The text of a request, as its service counts it."""
    if name == "threema":
        return parse_qs(body.decode())["text"][0]
    content = json.loads(body)
    return {
        "bark": lambda: json.dumps(content, ensure_ascii=False),
        "dingtalk": lambda: content["text"]["content"],
        "discord": lambda: content["content"],
        "feishu": lambda: body.decode(),
        "lark": lambda: body.decode(),
        "ntfy": lambda: content["message"],
        "wecombot": lambda: content["text"]["content"],
    }[name]()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("bark", 4096),
        ("dingtalk", 20_000),
        ("discord", 2000),
        ("feishu", 20_000),
        ("lark", 20_000),
        ("ntfy", 4096),
        ("wecombot", 2048),
    ],
)
def test_no_message_is_longer_than_its_service_takes(
    services: Services, tmp_path: Any, name: str, limit: int, text: str, language: str
) -> None:
    url = {"discord": DISCORD, "ntfy": "ntfy://topic"}.get(name) or CASES[name].url
    sender = Sender({"phone": url.format(host=services.address)})
    # The pause between messages is apprise's, and not what this is about.
    sender.service("phone").request_rate_per_sec = 0.0
    for peers in (["节点"], [f"节点-{'长' * (number % 40)}-x" for number in range(60)]):
        for message in _compose(sender, tmp_path, _events(text, peers), language):
            sender.send("phone", message)
    assert services.requests
    for request in services.requests:
        shown = _content(name, request.body)
        size = len(shown) if name == "discord" else len(shown.encode())
        assert size <= limit
        assert "\ufffd" not in shown
        assert LINK not in shown or set(re.findall(r"https://example\S+", shown)) == {LINK}
    told = ("shortened", "截短", "\\u622a\\u77ed")
    assert any(word in _content(name, services.requests[0].body) for word in told)


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        (f"see {LINK} now", 40, "see…"),
        (f"see {LINK} now", 4 + len(LINK) + 2, f"see {LINK}…"),
        ("ab👨‍👩‍👧 cd", 6, "ab…"),
        ("abe\u0301fg", 4, "ab…"),
        ("ab👍🏽cd", 4, "ab…"),
        ("a🇩🇪🇫🇷b", 3, "a…"),
        (LINK, 20, "…"),
    ],
)
def test_neither_a_letter_nor_a_link_is_cut(text: str, limit: int, shown: str) -> None:
    assert shorten(text, limit) == shown


def test_a_body_that_was_cut_says_so_in_bytes_too() -> None:
    cut = shorten("显" * 1000, 100, lambda text: len(text.encode()), "…（已截短）")
    assert cut.endswith("显…（已截短）")
    assert len(cut.encode()) <= 100


def test_discord_shows_a_text_as_it_is_and_calls_nobody(services: Services) -> None:
    Sender({"phone": DISCORD}).send("phone", Message(HOSTILE, HOSTILE))
    shown = _content("discord", services.requests[0].body)
    assert not re.search(r"@everyone|@here|@all|<@|<!|[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069]", shown)
    assert r"\*star\* \_under\_ \`tick\` \[x\](http://evil.example)" in shown
    assert shown.splitlines()[0].endswith("evil@example.org \\[31mgnp.exe") or "gnp.exe" in shown.splitlines()[0]


@pytest.mark.parametrize("name", ["slack", "feishu", "lark", "dingtalk", "wecombot", "rocketchat", "zulip"])
def test_no_chat_calls_people_by_a_text_of_others(services: Services, name: str) -> None:
    slack = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23general"
    url = slack if name == "slack" else CASES[name].url.format(host=services.address)
    Sender({"phone": url}).send("phone", Message(HOSTILE, HOSTILE))
    (request,) = services.requests
    sent = "".join(parse_qs(request.body.decode())["content"]) if name == "zulip" else str(json.loads(request.body))
    assert not re.search(r"@everyone|@here|@channel|@all|<!channel|<at |<users/|@\*\*all", sent)


@pytest.mark.parametrize("is_bot", [False, True])
@pytest.mark.parametrize("html", ["", "from templates"])
def test_telegram_gets_no_markup_of_others(services: Services, tmp_path: Any, html: str, is_bot: bool) -> None:
    url = CASES["telegram"].url
    services.body = b'{"ok": true, "result": {"message_id": 1}}'
    sender = Sender({"phone": url}, {"phone": make_bot("phone", url)} if is_bot else {})
    (message,) = _compose(sender, tmp_path, _events(HOSTILE, [HOSTILE[:60]]), "en")
    assert "\n" not in message.title
    sender.send("phone", message if html else message._replace(html=""))
    (request,) = services.requests
    sent = json.loads(request.body)
    if sent.get("parse_mode") == "HTML":
        assert set(re.findall(r"</?([a-z]+)", sent["text"])) <= TAGS
        assert "<b>bold" not in sent["text"]
        assert "&lt;b&gt;bold&lt;/b&gt; &amp;amp;" in sent["text"]
    else:
        assert "<b>bold</b> &amp; *star*" in sent["text"]
    assert not re.search(r"@everyone|@all\b|[\x00-\x08\u202a-\u202e]", sent["text"])


def test_no_header_and_no_markup_gets_into_a_mail(tmp_path: Any) -> None:
    raw: list[bytes] = []

    class Keeping(Mailbox):
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            raw.append(envelope.content)
            return await super().handle_DATA(server, session, envelope)

    mailbox = Keeping(reserve_ports(1)[0])
    mailbox.start()
    try:
        sender = Sender({"phone": mailbox.url})
        (message,) = _compose(sender, tmp_path, _events(HOSTILE, ["a\r\nBcc: evil@example.org"]), "en")
        assert sender.send("phone", message).accepted
        assert sender.send("phone", Message(HOSTILE, HOSTILE)).accepted
    finally:
        mailbox.stop()
    for content in raw:
        mail = message_from_bytes(content, policy=policy.default)
        assert mail["bcc"] is None
        assert set(mail.keys()) >= {"Subject", "From", "To"}
        assert len(mail.get_all("subject") or []) == 1
        assert "evil@example.org" in str(mail["subject"])
        assert not re.search(r"[\r\n\x00\u202e]", str(mail["subject"]))
    assert "<b>bold" not in mailbox.html[0]
    assert "&lt;b&gt;bold" in mailbox.html[0]
    assert "<at " not in mailbox.html[0]


def test_a_text_arrives_as_typed_where_nothing_has_a_meaning() -> None:
    text = "sly_fox *x* [a](b) @everyone <b>\nsecond\tline"
    assert adapt("custom_json", Message("t", text)) == Message("t", text)
    assert show("ntfy", text) == text
    assert clean("a\r\nb\rc\ud800") == "a\nb\nc "
