"""The manual's tables of rules."""

import pytest

from alerts.export.rule_table import MANUAL, render_tables, update


def test_the_manual_lists_every_rule_and_setting_as_they_are_now() -> None:
    manual = MANUAL.read_text()
    assert manual == update(manual), "run python -m alerts.export.rule_table"


def test_a_rule_is_listed_with_its_defaults_as_the_file_takes_them() -> None:
    lines = render_tables().splitlines()
    rule = next(line for line in lines if line.startswith("| PeerDown | peer |"))
    assert rule.startswith("| PeerDown | peer | critical | 30s | 30s | no | PromQL | ")
    assert [line for line in lines if line.startswith("| StepRateDegraded | `slot` | 5m | ")]
    assert [line for line in lines if line.startswith("| DiskLow | `least_gib` | 1.0 | ")]


def test_a_manual_without_the_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place"):
        update("# Alerts")
