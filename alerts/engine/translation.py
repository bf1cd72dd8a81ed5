"""A rule whose verdicts are in the fleet's language."""

from dataclasses import replace
from typing import Any

from alerts.i18n import Words
from alerts.rules import Rule, Verdict, View


def translate_rule(rule: Rule, words: Words) -> Rule:
    """The same rule with translated summaries, so that the alert's state holds the text that people read."""
    if not words.texts:  # The rules are written in it.
        return rule

    def judge(view: View, settings: Any, /) -> Verdict:
        verdict = rule.judge(view, settings)
        return replace(verdict, summary=words.translate(verdict.summary))

    return replace(rule, judge=judge)
