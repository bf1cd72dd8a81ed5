"""The words around an alert in each language, and how a text of a rule is said in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from alerts.durations import describe_duration
from alerts.i18n import zh_cn
from alerts.i18n.translatable import Seconds, Text

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
    bot: dict[str, str]
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
    bot={
        "help": (
            "/status: how the peers fare\n/alerts: what fires, and the silences in force\n"
            "/ack: nobody is reminded of what fires now; /ack NAME for one peer or rule\n"
            "/silence 2h PEER: tell nothing of a peer for a while; * stands for any letters\n"
            "/unsilence: end all silences; /unsilence PEER or its number for one"
        ),
        "ack": "Acknowledge",
        "silence_button": "Silence 1 h",
        "acknowledged": "Acknowledged: {}",
        "silenced": "Silenced until {1}: {0}",
        "unsilenced": "Silences ended: {}",
        "no_silence": "There is no such silence.",
        "none_fires": "Nothing that matches fires.",
        "over": "None of these alerts fires any more.",
        "too_many": "These are too many to silence one by one; write /silence 1h PEER, with * for any letters.",
        "usage_silence": "Write for how long and which peer: /silence 2h PEER",
        "unknown_peer": "No peer has that name now.",
        "stale": "That was said {} ago, while nobody listened, so nothing was done. Say it again if it still holds.",
        "firing": "Alerts that fire: {}",
        "rank": "rank {}",
        "silence": "Silence {}: {} of {} until {}",
        "is_silenced": "silenced",
        "is_acknowledged": "acknowledged",
        "is_inhibited": "follows from {}",
        "more": "and {} more",
    },
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
    bot={
        "help": (
            "/status：各节点的状况\n/alerts：当前告警和生效的静默\n"
            "/ack：确认当前所有告警，不再提醒；/ack 名称 只确认一个节点或一条规则\n"
            "/silence 2h 节点：在一段时间内不通知该节点的告警；* 代表任意字符\n"
            "/unsilence：结束所有静默；/unsilence 节点或编号 只结束一个"
        ),
        "ack": "确认",
        "silence_button": "静默 1 小时",
        "acknowledged": "已确认：{}",
        "silenced": "已静默至 {1}：{0}",
        "unsilenced": "已结束的静默数：{}",
        "no_silence": "没有这样的静默。",
        "none_fires": "没有符合条件的告警。",
        "over": "这些告警均已不再触发。",
        "too_many": "数量太多，无法逐个静默；请发送 /silence 1h 节点，可用 * 代表任意字符。",
        "usage_silence": "请写明时长和节点：/silence 2h 节点",
        "unknown_peer": "目前没有该名称的节点。",
        "stale": "这条命令发送于 {} 前，当时无人接收，因此未执行。如仍需要，请重新发送。",
        "firing": "当前告警数：{}",
        "rank": "第 {} 名",
        "silence": "静默 {}：{}，节点 {}，至 {}",
        "is_silenced": "已静默",
        "is_acknowledged": "已确认",
        "is_inhibited": "源自 {}",
        "more": "另有 {} 个",
    },
    units={"d": "天", "h": "小时", "min": "分钟", "s": "秒"},
    texts=zh_cn.TEXTS,
    terms=zh_cn.TERMS,
    remedies=zh_cn.REMEDIES,
    between_sentences="",
)

LANGUAGES: dict[Language, Words] = {"en": _ENGLISH, "zh-CN": _CHINESE}
