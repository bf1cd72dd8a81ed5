"""Telegram by apprise's plug-in and by our own client, against a stand-in of the Bot API.

The alert loop runs as it does for a user. Its environment names a proxy, which answers for api.telegram.org with a
certificate of the test's own authority, so that nothing in the product or in apprise is changed.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.delivery.apprise_sender import RouteError, Sender
from alerts.messages.single import Message
from alerts.telegram.bot import make_bot
from tests.alerts.bot_api import TOKEN, BotApi
from tests.alerts.conftest import AlertLoop, Sidecar
from tests.fakes import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
SECRET = TOKEN.partition(":")[2]
STALLED = {"last_step": 5.0, "phase_start": 4.0, "started": 3.0}
MakeLoop = Callable[..., AlertLoop]


@pytest.fixture
def bot_api(tmp_path: Path) -> Iterator[BotApi]:
    api = BotApi(tmp_path / "telegram.pem")
    yield api
    api.close()


@pytest.fixture
def commanded(make_loop: MakeLoop, sidecar: Sidecar, bot_api: BotApi) -> AlertLoop:
    """A loop whose one route takes commands; it watches sly_fox."""
    loop = make_loop({"sly_fox": sidecar})
    loop.settings["routes"] = [{"name": "phone", "url": f"tgram://{TOKEN}/4242", "commands": True}]
    loop.environment = bot_api.environment
    return loop


def _received(bot_api: BotApi, *words: str) -> str:
    """Waits for the first message with these words."""
    return wait_for(
        lambda: next((text for text in bot_api.shown if all(word in text for word in words)), ""),
        20,
        f"a message with {words} among {bot_api.shown}",
        every=0.05,
    )


def test_names_arrive_as_typed_and_a_rate_limited_message_is_delivered_once_and_later(
    make_loop: MakeLoop, sidecar: Sidecar, bot_api: BotApi
) -> None:
    peer = "sly_furry_fox <b>&amp; *[x](y)* `z` \\_ 'q' \"r\""
    loop = make_loop({peer: sidecar}, {"phone": f"tgram://{TOKEN}/4242"}, fleet="a_b <i> & c")
    loop.environment = bot_api.environment
    bot_api.retry_after = 2
    sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
    loop.start()
    wait_for(lambda: bot_api.asked_at, 20, "the attempt that is refused")
    sidecar.serve()
    wait_for(lambda: len(bot_api.shown) == 2, 20, "the alert and its resolution")
    first, second = bot_api.shown
    assert first.startswith(f"PeerStalled: {peer}\r\nNo progress for 1 min ")
    assert "\nFleet a_b <i> & c, severity critical" in first
    assert second.startswith(f"Resolved: PeerStalled: {peer}\r\n")
    assert bot_api.asked_at[1] - bot_api.asked_at[0] >= 2
    assert len(bot_api.asked_at) == 3
    assert "429 Too Many Requests" in loop.output()
    assert SECRET not in loop.output()
    wait_for(lambda: loop.pending() == 0, 20, "the resolution's delivery to be recorded")
    assert not bot_api.offsets  # Commands were not polled.


def test_a_bot_answers_commands_and_buttons_of_its_chat_and_continues_after_a_restart(
    commanded: AlertLoop, sidecar: Sidecar, bot_api: BotApi
) -> None:
    bot_api.retry_after = 1
    sidecar.serve(**STALLED)
    commanded.start()
    first = _received(bot_api, "PeerStalled: sly_fox\nNo progress for")
    assert "\nWhat to do: read the end of the trainer's log" in first
    assert bot_api.asked_at[1] - bot_api.asked_at[0] >= 1
    (row,) = bot_api.sent[0]["reply_markup"]["inline_keyboard"]
    acknowledge, silence = row
    assert (acknowledge["text"], silence["text"]) == ("Acknowledge", "Silence 1 h")
    bot_api.say("/status@peerwatch_bot")
    assert "Firing alerts: 1" in _received(bot_api, "1 of 1 peers up.", "sly_fox: training, rank 1")
    bot_api.press(acknowledge["callback_data"])
    _received(bot_api, "Acknowledged: PeerStalled: sly_fox")
    assert bot_api.calls == [("answerCallbackQuery", {"callback_query_id": "7"})]
    assert commanded.get("/api/alerts").json()["alerts"][0]["acknowledged"]
    bot_api.press(silence["callback_data"])
    _received(bot_api, "Silenced until ", ": PeerStalled: sly_fox")
    bot_api.say("/alerts")
    _received(
        bot_api,
        "PeerStalled: sly_fox. No progress for",
        "[silenced, acknowledged]",
        "Silence 1: PeerStalled of sly_fox",
    )
    assert commanded.stop() == 0
    bot_api.say("/unsilence")
    commanded.start()
    _received(bot_api, "Silences ended: 1")
    assert commanded.get("/api/alerts").json()["silences"] == []
    bot_api.say("/silence 2h sly_*")
    _received(bot_api, "Silenced until ", ": sly_*")
    bot_api.say("/silence sly_fox")
    _received(bot_api, "Usage: /silence DURATION PEER")
    bot_api.say("hello there")
    bot_api.say("/help")
    _received(bot_api, "/alerts: firing alerts")
    assert sum("Acknowledged" in text for text in bot_api.shown) == 1
    assert not any("hello" in text for text in bot_api.shown)
    assert SECRET not in commanded.output()


def test_messages_of_other_chats_and_old_commands_change_nothing(commanded: AlertLoop, bot_api: BotApi) -> None:
    bot_api.say("/silence 9h xyzzy", chat=666)
    bot_api.press("ack:1", chat=666)
    bot_api.say("/silence 9h *", age=3600)
    commanded.start()
    _received(bot_api, "Ignored: sent 1 h ago")
    assert commanded.get("/api/alerts").json()["silences"] == []
    assert all(one["chat_id"] == 4242 for one in bot_api.sent)
    assert commanded.output().count("dropped a message from a chat that is not configured") == 1
    assert "xyzzy" not in commanded.output()


def test_the_answer_to_an_old_command_is_in_the_fleets_language(commanded: AlertLoop, bot_api: BotApi) -> None:
    commanded.settings["language"] = "zh-CN"
    bot_api.say("/status", age=3600)
    commanded.start()
    _received(bot_api, "该命令发送于 1 小时 前")


def test_another_poller_and_a_lost_network_are_logged_once_and_delay_nothing(
    commanded: AlertLoop, sidecar: Sidecar, bot_api: BotApi
) -> None:
    bot_api.poll_status = 502
    commanded.start()
    wait_for(lambda: len(bot_api.offsets) >= 3, 20, "three attempts")
    assert commanded.output().count("not receiving commands: the service answered 502 Bad Gateway") == 1
    sidecar.serve(**STALLED)
    _received(bot_api, "PeerStalled: sly_fox")
    bot_api.poll_status = 200
    bot_api.say("/help")
    _received(bot_api, "/alerts: firing alerts")
    assert commanded.output().count("receiving commands again") == 1
    bot_api.poll_status = 409
    wait_for(lambda: "another program polls this bot" in commanded.output(), 20, "the log line")
    polls = len(bot_api.offsets)
    time.sleep(1)
    assert len(bot_api.offsets) == polls
    assert commanded.stop() == 0


def test_html_that_telegram_rejects_arrives_as_plain_text(bot_api: BotApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bot_api.environment.items():
        monkeypatch.setenv(name, value)
    url = f"tgram://{TOKEN}/4242:7"
    sender = Sender({"phone": url}, {"phone": make_bot("phone", url)})
    assert sender.send("phone", Message("<t>", "plain & simple", "<table>x</table>")).accepted
    assert bot_api.shown == ["<t>\nplain & simple"]
    assert bot_api.sent[0]["message_thread_id"] == 7
    assert "reply_markup" not in bot_api.sent[0]


@pytest.mark.parametrize("url", ["json://localhost", f"tgram://{TOKEN}/@channel", f"tgram://{TOKEN}"])
def test_commands_need_a_chat_that_is_known_by_its_number(url: str) -> None:
    with pytest.raises(RouteError, match=r"route phone: .*commands") as raised:
        make_bot("phone", url)
    assert SECRET not in str(raised.value)
