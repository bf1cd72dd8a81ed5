"""What people read in Chinese."""

from alerts.engine.evaluate import ActiveRule, Event, Key
from alerts.engine.translation import translate_rule
from alerts.i18n.en import WORDS as ENGLISH
from alerts.i18n.translatable import Seconds, join, say
from alerts.i18n.zh_cn import WORDS as CHINESE
from alerts.messages.single import Style, render
from alerts.rules import View, discover
from alerts.scraping.page import parse
from tests.alerts.conftest import sidecar_page


def test_every_sentence_is_chinese() -> None:
    assert all(any(ord(letter) > 0x3000 for letter in text) for text in CHINESE.texts.values())


def test_a_text_is_english_until_it_is_translated() -> None:
    text = say("It is {lag:.0f} rounds behind the swarm while {state}.", lag=3.0, state="waiting")
    assert text == "It is 3 rounds behind the swarm while waiting."
    assert CHINESE.translate(text) == "落后 swarm 3 轮，状态：等待中。"
    lasting = say("{count} restarts in the last {time}.", count=4, time=Seconds(3720))
    assert ENGLISH.translate(join([lasting, None, text])) == f"4 restarts in the last 1 h 2 min. {text}"
    assert CHINESE.translate(join([lasting, text])) == (
        "最近 1 小时 2 分钟内重启了 4 次。落后 swarm 3 轮，状态：等待中。"
    )
    assert CHINESE.translate("as it is {braces}") == "as it is {braces}"
    nested = say("{measured}.", measured=say("the connection broke"))
    assert CHINESE.translate(nested) == "连接中断。"


def test_braces_in_a_value_are_not_formatted() -> None:
    text = say("The trainer's process is gone; it was {state} when last heard of.", state="{0.__class__}")
    assert CHINESE.translate(text) == "训练进程已消失；最后一次获知的状态：{0.__class__}。"


def test_a_stalled_peers_message_is_chinese_throughout() -> None:
    rule = translate_rule(discover()["PeerStalled"], CHINESE)
    view = View("a", 1000.0, parse(sidecar_page(900.0, last_step=900, phase_start=800, started=700)))
    one = ActiveRule("PeerStalled", rule, rule.settings())
    verdict = one.rule.judge(view, one.settings)
    assert type(verdict.summary) is str
    event = Event(Key("PeerStalled", "a"), "firing", 1000.0, 900.0, "critical", verdict.summary)
    message = render(event, Style("demo", CHINESE))
    assert message.title == "PeerStalled：a"
    lines = message.body.splitlines()
    assert (
        lines[0]
        == "已 1 分钟 40 秒没有进展，状态：训练中；该节点最多应需 30 秒。最后一步（第 12 步）结束于 1 分钟 40 秒前。"
    )
    assert lines[3].startswith("处理办法：向训练进程发送 SIGUSR1")
