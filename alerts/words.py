"""The words around an alert in each language, and how a text of a rule is said in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from alerts import chinese
from alerts.durations import describe_duration
from alerts.text import Seconds, Text

Language = Literal["en", "zh-CN"]


@dataclass(frozen=True)
class Words:
    """The frame texts of one language, with the names that str.format fills in."""

    prefix: dict[str, str]
    count: dict[str, str]
    severity: dict[str, str]
    colon: str
    comma: str
    peers: str
    all_peers: str
    since: str
    since_lasting: str
    since_first: str
    lasted: str
    fleet: str
    fleet_severity: str
    remedy: str
    example: str
    span: str
    part: str
    more: str
    after_quiet: str
    digest_title: str
    digest_peers: str
    digest_quiet: str
    digest_events: str
    digest_firing: str
    test_title: str
    test_body: str
    units: dict[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, str] = field(default_factory=dict)
    remedies: Mapping[str, str] = field(default_factory=dict)
    between_sentences: str = " "

    def duration(self, seconds: float) -> str:
        """A duration in this language's units."""
        text = describe_duration(seconds)
        if not self.units:
            return text
        return " ".join(self.units.get(word, word) for word in text.split())

    def translate(self, text: str) -> str:
        """A text of `say` in this language; any other stays as it is."""
        if not isinstance(text, Text):
            return text
        if text.sentences:
            return self.between_sentences.join(self.translate(sentence) for sentence in text.sentences)
        values = {name: self._translate_value(value) for name, value in text.values.items()}
        return self.texts.get(text.template, text.template).format(**values)

    def _translate_value(self, value: object) -> object:
        if isinstance(value, Seconds):
            return self.duration(value)
        if isinstance(value, Text):
            return self.translate(value)
        return self.terms.get(value, value) if isinstance(value, str) else value


_ENGLISH = Words(
    prefix={"firing": "", "reminder": "Still firing: ", "resolved": "Recovered: ", "passed": "Fired and recovered: "},
    count={
        "firing": "{} firing",
        "reminder": "{} still firing",
        "resolved": "{} recovered",
        "passed": "{} fired and recovered",
    },
    severity={"critical": "critical", "warning": "warning", "info": "info"},
    colon=": ",
    comma=", ",
    peers="{} peers",
    all_peers="all {} peers",
    since="Since {}.",
    since_lasting="Since {} ({}).",
    since_first="The first since {}.",
    lasted="It lasted {}, since {}.",
    fleet="Fleet {}",
    fleet_severity="Fleet {}, severity {}",
    remedy="What to do: {}",
    example="{}: {}",
    span="{} to {}",
    part="{} ({} of {})",
    more="and {} more, which the status page shows",
    after_quiet="The quiet hours are over",
    digest_title="Daily summary",
    digest_peers="{} of {} peers run.",
    digest_quiet="Nothing fires.",
    digest_events="Since the last summary: {} alerts fired, {} recovered.",
    digest_firing="Firing now:",
    test_title="Test",
    test_body="This is a test of the route {}: alerts arrive here.",
)

_CHINESE = Words(
    prefix={"firing": "", "reminder": "仍在告警：", "resolved": "已恢复：", "passed": "曾告警，已恢复："},
    count={
        "firing": "{} 个告警中",
        "reminder": "{} 个仍在告警",
        "resolved": "{} 个已恢复",
        "passed": "{} 个曾告警并已恢复",
    },
    severity={"critical": "严重", "warning": "警告", "info": "提示"},
    colon="：",
    comma="、",
    peers="{} 个节点",
    all_peers="全部 {} 个节点",
    since="始于 {}。",
    since_lasting="始于 {}（已持续 {}）。",
    since_first="最早始于 {}。",
    lasted="持续了 {}，始于 {}。",
    fleet="集群 {}",
    fleet_severity="集群 {}，级别：{}",
    remedy="处理办法：{}",
    example="{}：{}",
    span="{} 至 {}",
    part="{}（{}/{}）",
    more="另有 {} 个，见状态页",
    after_quiet="免打扰时段已结束",
    digest_title="每日摘要",
    digest_peers="{} / {} 个节点在运行。",
    digest_quiet="当前没有告警。",
    digest_events="自上次摘要以来：{} 次告警，{} 次恢复。",
    digest_firing="当前告警：",
    test_title="测试",
    test_body="这是对通知渠道 {} 的测试：告警会发送到这里。",
    units={"d": "天", "h": "小时", "min": "分钟", "s": "秒"},
    texts=chinese.TEXTS,
    terms=chinese.TERMS,
    remedies=chinese.REMEDIES,
    between_sentences="",
)

LANGUAGES: dict[Language, Words] = {"en": _ENGLISH, "zh-CN": _CHINESE}
