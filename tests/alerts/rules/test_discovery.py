"""What every rule of the folder has."""

from pathlib import Path

import pytest

import alerts.rules
from alerts.rules import Rule, RuleSettings, View, discover
from alerts.scraping.page import Page

NAMES = sorted(discover())
COMMON = set(RuleSettings.model_fields)


def test_a_rule_is_named_after_its_file() -> None:
    files = [path.stem for path in Path(alerts.rules.__file__).parent.glob("*.py") if not path.stem.startswith("_")]
    assert sorted("".join(word.capitalize() for word in stem.split("_")) for stem in files) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_its_own_runbook(name: str) -> None:
    rule: Rule = discover()[name]
    assert rule.description.endswith(".")
    assert 40 < len(rule.remedy) < 600
    described = [field.description for name, field in rule.settings.model_fields.items() if name not in COMMON]
    assert all(described), "each setting of its own says what it is"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_without_a_single_sample_gives_no_verdict(name: str) -> None:
    rule = discover()[name]
    verdict = rule.judge(View("a", 1000.0, Page()), rule.settings())
    assert verdict.condition == "unknown" or not rule.is_problem
