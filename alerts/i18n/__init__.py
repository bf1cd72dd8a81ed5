"""Every language of the alert loop, one file each, and time zones by name.

A language is a module named after its tag (`zh_cn.py` is zh-CN) with its texts as `WORDS`.
"""

import importlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator

from alerts.durations import describe_duration
from alerts.i18n.translatable import Seconds, Text

_TAG = re.compile(r"[a-z]{2,3}(_[a-z]{2})?")


@dataclass(frozen=True)
class Words:
    """All texts of one language, with str.format placeholders.

    The first are those around an alert in a message. `watcher` (news of the alert loop itself), `bot`, `page` and
    `charts` are by key. `texts` are what rules and evidence say, by their English templates; `terms` are values in them
    and states, by their English names; `remedies` are by rule. What these do not hold stays English. `fonts` have the
    language's letters; empty where most fonts do.
    """

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
    unknown_time: str
    fleet: str
    fleet_severity: str
    remedy: str
    span: str
    part: str
    more: str
    shortened: str
    after_quiet: str
    digest_title: str
    digest_peers: str
    digest_quiet: str
    digest_events: str
    digest_firing: str
    watcher: dict[str, str]
    test_title: str
    test_body: str
    bot: dict[str, str]
    page: dict[str, str]
    charts: dict[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, str] = field(default_factory=dict)
    remedies: Mapping[str, str] = field(default_factory=dict)
    between_sentences: str = " "
    fonts: tuple[str, ...] = ()

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


def discover() -> dict[str, Words]:
    """The languages of this folder by tag."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if _TAG.fullmatch(module.name)]
    return {_make_tag(name): importlib.import_module(f"{__name__}.{name}").WORDS for name in names}


def _make_tag(name: str) -> str:
    language, _, region = name.partition("_")
    return f"{language}-{region.upper()}" if region else language


def _check_language(tag: str) -> str:
    if tag not in (known := discover()):
        raise ValueError(f"unknown language {tag!r}; known: {', '.join(sorted(known))}")
    return tag


Language = Annotated[str, AfterValidator(_check_language)]
