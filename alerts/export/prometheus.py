"""The rules as a Prometheus rule file: the same names, thresholds, durations and remedies. Pure."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from alerts.config import RuleTable
from alerts.durations import parse_duration
from alerts.rules import Rule, RuleSettings, discover

GROUP = "peerwatch"
# The label of an alert's second one, which begins once the first has fired for a route's `after`.
ESCALATION = "escalation"
# A page that cannot be read, or has no `trainer_up`, is neither problem nor recovery. A target that is gone has no
# `up`, and its alerts end.
_UNREAD = 'up == 0 or up{peer!=""} unless on (instance) trainer_up'
_SUBJECT = "{{ with $labels.peer }}{{ . }}{{ else }}{{ $labels.instance }}{{ end }}"
# `alerts_firing` counts the peers and names none.
_UNNAMED = "see the status page for which peer"
_DURATION = re.compile(r"[\d.]+s")


def render_rules(table: RuleTable, delays: Iterable[float] = ()) -> str:
    """A rule file with every enabled rule, for Prometheus 2.42 or later; with a second alert of each for every delay in
    seconds after which a route is notified.
    """
    rules = []
    for name, rule in discover().items():
        settings = table.of(name)
        if settings.enabled:
            described = describe_rule(name, rule, settings)
            rules.append(described)
            # What is no problem is never escalated.
            rules += [_describe_escalation(described, delay) for delay in sorted(set(delays)) if rule.is_problem]
    head = "# Made by `peerwatch rules prometheus`: the alert rules of Peerwatch with your thresholds.\n"
    return head + dump({"groups": [{"name": GROUP, "rules": rules}]})


def escalation_label(after: float) -> str:
    """The value of the label `escalation` for a route's `after` in seconds; empty for what is notified at once."""
    return promql_duration(after) if after else ""


def _describe_escalation(described: Mapping[str, Any], delay: float) -> dict[str, Any]:
    """The same alert again, for the routes that are notified only once it has fired for so long."""
    return {
        "alert": described["alert"],
        "expr": firing(described["alert"]),
        "for": promql_duration(delay),
        "labels": {**described["labels"], ESCALATION: escalation_label(delay)},
        "annotations": described["annotations"],
    }


def dump(content: Any) -> str:
    """YAML in the given order, with texts of several lines as blocks."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes each value out, without YAML's anchors and aliases."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def describe_rule(name: str, rule: Rule, settings: RuleSettings) -> dict[str, Any]:
    """One alerting rule. Its alerts carry the labels of the series that it reads."""
    described: dict[str, Any] = {"alert": name, "expr": expression(name, rule, settings)}
    # The alert loop has waited for both already where its own metric is read.
    if settings.for_ and rule.promql is not None:
        described["for"] = promql_duration(settings.for_)
    if settings.recover_after and rule.promql is not None:
        described["keep_firing_for"] = promql_duration(settings.recover_after)
    # An empty label is no label: the `alertstate` of `ALERTS` must not make it another alert.
    described["labels"] = {"severity": settings.severity, "alertstate": ""}
    described["annotations"] = {
        "summary": f"{name}: {_UNNAMED if rule.promql is None else _SUBJECT}",
        "description": rule.description,
        "runbook": f"What to do: {rule.remedy}",
    }
    return described


def expression(name: str, rule: Rule, settings: RuleSettings) -> str:
    """The rule's PromQL with its thresholds filled in, and where a firing alert goes on while its condition is unknown.

    A rule without PromQL is read off the alert loop's own `alerts_firing`.
    """
    thresholds = dict(_thresholds(settings))
    holds = f'alerts_firing{{rule="{name}"}} > 0' if rule.promql is None else rule.promql.strip() % thresholds
    if not rule.is_problem:
        return holds
    keeps = "\nor ".join(one for one in (_UNREAD, rule.keeps.strip() % thresholds) if one)
    goes_on = f"{firing(name)}\nand on (instance) (\n{_indent(keeps)}\n)"
    return f"(\n{_indent(holds)}\n)\nor on (instance) (\n{_indent(goes_on)}\n)"


def firing(name: str) -> str:
    """The series of a rule's alerts that fire, without those that escalate."""
    return f'ALERTS{{alertname="{name}",alertstate="firing",{ESCALATION}=""}}'


def _indent(text: str) -> str:
    return textwrap.indent(text, "  ")


def promql_duration(seconds: float) -> str:
    """A duration as PromQL takes it: whole units only."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def _thresholds(settings: RuleSettings) -> Iterator[tuple[str, Any]]:
    """Each setting by name; a duration also as `…_seconds`, for expressions that subtract times. A property that the
    settings have is filled in as it is.
    """
    for name, value in settings.model_dump(mode="json", by_alias=False).items():
        if isinstance(value, str) and _DURATION.fullmatch(value):
            seconds = parse_duration(value)
            yield name, promql_duration(seconds)
            yield f"{name}_seconds", seconds
        else:
            yield name, value
    yield from (
        (name, getattr(settings, name)) for name, own in vars(type(settings)).items() if isinstance(own, property)
    )
