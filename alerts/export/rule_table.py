"""`python -m alerts.export.rule_table`: writes the tables of rules and their settings into docs/alerts.md."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from alerts.durations import Duration, describe_duration
from alerts.rules import Rule, RuleSettings, discover

MANUAL = Path(__file__).parents[2] / "docs" / "alerts.md"
BEGIN = "<!-- `python -m alerts.export.rule_table` writes from here -->\n"
END = "<!-- to here -->\n"
_RULE_HEAD = ("Rule", "About", "Severity", "`for`", "`recover_after`", "`restart`", "Prometheus", "What it means")
_SETTING_HEAD = ("Rule", "Setting", "Default", "What it is")
_DURATION = get_args(Duration)[1]


def render_tables() -> str:
    """Every rule with its defaults, what Prometheus reads for it and its meaning; then the settings that rules add."""
    rules = [_describe_rule(name, rule) for name, rule in discover().items()]
    settings = [row for name, rule in discover().items() for row in _describe_settings(name, rule)]
    return f"{_render(_RULE_HEAD, rules)}\n{_render(_SETTING_HEAD, settings)}"


def update(manual: str) -> str:
    """The manual with the tables of now. Raises ValueError where it has no place for them."""
    before, begin, rest = manual.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the manual has no place for the tables of rules")
    return f"{before}{BEGIN}\n{render_tables()}\n{END}{after}"


def _describe_rule(name: str, rule: Rule) -> Iterator[str]:
    settings = rule.settings()
    yield from (name, rule.scope, settings.severity)
    yield from (_write_duration(settings.for_), _write_duration(settings.recover_after))
    yield from (rule.restart or "no", "`alerts_firing`" if rule.promql is None else "PromQL", rule.description)


def _describe_settings(name: str, rule: Rule) -> Iterator[tuple[str, ...]]:
    for setting, field in rule.settings.model_fields.items():
        if setting not in RuleSettings.model_fields:
            default = field.get_default()
            text = _write_duration(default) if _DURATION in field.metadata else str(default)
            yield name, f"`{setting}`", text, field.description or ""


def _write_duration(seconds: float) -> str:
    """As the configuration takes it: 1h30m."""
    return describe_duration(seconds).replace("min", "m").replace(" ", "")


def _render(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    MANUAL.write_text(update(MANUAL.read_text()))
