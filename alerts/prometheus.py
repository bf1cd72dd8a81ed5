"""The rules as a Prometheus rule file: the same names, thresholds, durations and advice. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from alerts.config import RuleTable
from alerts.durations import parse_duration
from alerts.rules import Rule, RuleSettings, discover

GROUP = "peerwatch"
# The label of an alert's second one, which begins once the first has fired for a route's `after`.
ESCALATION = "escalation"
_DURATION = re.compile(r"[\d.]+s")


def render_rules(table: RuleTable, delays: Iterable[float] = ()) -> str:
    """A rule file with every rule that is switched on, for Prometheus 2.42 or later; with a second alert of each for
    every delay, in seconds, after which a route is told.
    """
    rules = []
    for name, rule in discover().items():
        settings = table.of(name)
        if settings.enabled:
            described = describe_rule(name, rule, settings)
            rules.append(described)
            # What is no trouble is never escalated.
            rules += [_describe_escalation(described, delay) for delay in sorted(set(delays)) if rule.is_trouble]
    head = "# Made by `peerwatch rules prometheus`: the alert rules of Peerwatch with your thresholds.\n"
    return head + dump({"groups": [{"name": GROUP, "rules": rules}]})


def escalation_label(after: float) -> str:
    """The value of the label `escalation` for a route's `after` in seconds; empty for what is told at once."""
    return promql_duration(after) if after else ""


def _describe_escalation(described: Mapping[str, Any], delay: float) -> dict[str, Any]:
    """The same alert once more, for the routes that hear of it only once it has fired for so long."""
    return {
        "alert": described["alert"],
        "expr": f'ALERTS{{alertname="{described["alert"]}",alertstate="firing",{ESCALATION}=""}}',
        "for": promql_duration(delay),
        "labels": {**described["labels"], ESCALATION: escalation_label(delay), "alertstate": ""},
        "annotations": described["annotations"],
    }


def dump(content: Any) -> str:
    """YAML for people: in the given order, texts of several lines as such."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes each value out, without YAML's references from one place to another."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def describe_rule(name: str, rule: Rule, settings: RuleSettings) -> dict[str, Any]:
    """One alerting rule. What the page of a peer or host says of it, its labels carry along."""
    subject = "{{ with $labels.peer }}{{ . }}{{ else }}{{ $labels.instance }}{{ end }}"
    described: dict[str, Any] = {"alert": name, "expr": expression(rule, settings)}
    if settings.for_:
        described["for"] = promql_duration(settings.for_)
    if settings.recover_after:
        described["keep_firing_for"] = promql_duration(settings.recover_after)
    described["labels"] = {"severity": settings.severity}
    described["annotations"] = {
        "summary": f"{name}: {subject}",
        "description": rule.description,
        "runbook": f"What to do: {rule.remedy}",
    }
    return described


def expression(rule: Rule, settings: RuleSettings) -> str:
    """The rule's PromQL with its thresholds filled in."""
    return rule.promql.strip() % dict(_thresholds(settings.model_dump(mode="json", by_alias=False)))


def promql_duration(seconds: float) -> str:
    """A duration as PromQL takes it: whole units only."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def _thresholds(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each setting by name; a duration also as `…_seconds`, for expressions that subtract times."""
    for name, value in settings.items():
        if isinstance(value, str) and _DURATION.fullmatch(value):
            seconds = parse_duration(value)
            yield name, promql_duration(seconds)
            yield f"{name}_seconds", seconds
        else:
            yield name, value
