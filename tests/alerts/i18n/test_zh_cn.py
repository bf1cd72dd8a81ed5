"""Nothing that a rule or its evidence says is missing in Chinese, and both languages say it of the same values."""

import ast
import string
from dataclasses import fields
from pathlib import Path

import pytest

from alerts.engine.evaluate import ActiveRule, Event, Key
from alerts.engine.translation import translate_rule
from alerts.evidence import gather
from alerts.i18n import zh_cn
from alerts.i18n.catalog import LANGUAGES, Words
from alerts.i18n.translatable import Seconds, join, say
from alerts.messages.single import Style, render
from alerts.rules import View, discover
from alerts.scraping.page import parse
from exporter.metrics import STATES
from tests.alerts.conftest import sidecar_page

ROOT = Path(__file__).parents[3]
ENGLISH, CHINESE = LANGUAGES["en"], LANGUAGES["zh-CN"]


def _templates() -> set[str]:
    """Every template that the source says something with, by reading it."""
    found = set(gather._UNUSUAL.values())
    for path in (ROOT / "alerts").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        said = [node.args[0] for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say"]
        found |= {template.value for template in said if isinstance(template, ast.Constant)}
        names = {template.id for template in said if isinstance(template, ast.Name)}
        assert names <= {"template", "unusual"}, path
        for node in nodes:
            if names and isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "template":
                assert isinstance(node.value, ast.Constant), path
                found.add(node.value.value)
    return found


def _placeholders(template: str) -> list[tuple[str | None, str | None]]:
    return sorted((name, spec) for _, name, spec, _ in string.Formatter().parse(template) if name is not None)


def test_every_text_has_its_chinese_and_no_chinese_is_left_over() -> None:
    assert _templates() == set(zh_cn.TEXTS)
    assert set(zh_cn.REMEDIES) == set(discover())
    assert {*STATES, "running", "unknown"} == set(zh_cn.TERMS)
    assert all(any(ord(letter) > 0x3000 for letter in text) for text in zh_cn.TEXTS.values())


@pytest.mark.parametrize("template", sorted(zh_cn.TEXTS))
def test_both_languages_show_the_same_values_alike(template: str) -> None:
    assert _placeholders(template) == _placeholders(zh_cn.TEXTS[template])


@pytest.mark.parametrize("field", [one.name for one in fields(Words)])
def test_the_frame_texts_have_the_same_places_in_both_languages(field: str) -> None:
    english, other = getattr(ENGLISH, field), getattr(CHINESE, field)
    if field in ("texts", "terms", "remedies", "units"):
        return
    if isinstance(english, dict):
        assert english.keys() == other.keys()
        pairs = [(english[key], other[key]) for key in english]
    else:
        pairs = [(english, other)]
    for one, two in pairs:
        assert len(_placeholders(one)) == len(_placeholders(two))


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


def test_braces_of_a_page_are_no_template() -> None:
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
    assert lines[3].startswith("处理办法：向训练进程发送 SIGUSR1")
