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
    text = say("{lag:.0f} rounds behind the swarm while {state}; limit {limit}.", lag=3.0, state="waiting", limit=1)
    assert text == "3 rounds behind the swarm while waiting; limit 1."
    assert CHINESE.translate(text) == "落后 swarm 3 轮，状态：等待中；上限 1 轮。"
    lasting = say("No restart for {time}.", time=Seconds(3720))
    assert ENGLISH.translate(join([lasting, None, text])) == f"No restart for 1 h 2 min. {text}"
    assert CHINESE.translate(join([lasting, text])) == (
        "已 1 小时 2 分钟没有重启。落后 swarm 3 轮，状态：等待中；上限 1 轮。"
    )
    assert CHINESE.translate("as it is {braces}") == "as it is {braces}"
    nested = say("{measured}.", measured=say("the connection broke"))
    assert CHINESE.translate(nested) == "连接中断。"


def test_braces_in_a_value_are_not_formatted() -> None:
    text = say("Trainer process gone; last state: {state}.", state="{0.__class__}")
    assert CHINESE.translate(text) == "训练进程已消失；最后状态：{0.__class__}。"


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
    assert lines[0] == "已 1 分钟 40 秒没有进展，状态：训练中；上限 30 秒。最后一步：第 12 步，1 分钟 40 秒前。"
    assert lines[3].startswith("处理办法：查看训练日志的末尾")
