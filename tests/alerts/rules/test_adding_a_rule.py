"""A file in alerts/rules/ is all that a rule needs: configuration, judging, messages, Prometheus and manual find it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RULE = '''"""The peer has made enough steps.

What to do: stop the peer, for nothing more is needed of it.
"""

from pydantic import Field

from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive


class Settings(RuleSettings):
    """Thresholds of EnoughSteps."""

    steps: int = Field(default=1000, description="steps that are enough")


def judge(view: View, settings: Settings) -> Verdict:
    steps = view.page.value("trainer_steps_total") if view.page else None
    if steps is None:
        return UNKNOWN
    summary = say("{steps:.0f} steps; limit {limit}.", steps=steps, limit=settings.steps)
    return active(summary) if steps >= settings.steps else inactive(summary)


RULE = Rule(settings=Settings, judge=judge, doc=__doc__ or "", promql="trainer_steps_total >= %(steps)d")
'''
# The folder is listed as discovery lists it; nothing else knows of it.
PROGRAM = """
import json, sys
import alerts.rules

alerts.rules.__path__.append(sys.argv[1])
from alerts.config import AlertsConfig
from alerts.engine.evaluate import ActiveRule, AlertStates, evaluate
from alerts.engine.state import Moment
from alerts.export.prometheus import render_rules
from alerts.export.rule_table import render_tables
from alerts.messages.single import Style, render
from alerts.rules import View, discover
from alerts.scraping.page import parse

config = AlertsConfig.model_validate({"fleet": "demo", "state_dir": "/s", "rules": {"EnoughSteps": {"steps": 7}}})
rule = ActiveRule("EnoughSteps", discover()["EnoughSteps"], config.rules.of("EnoughSteps"))
view = View("a", 1000.0, parse("trainer_steps_total 9\\n"))
_, events = evaluate([view], [rule], AlertStates(), Moment(1000.0, 0.0), reminder_seconds=0)
message = render(events[0], Style("demo"))
print(json.dumps([render_rules(config.rules), render_tables(), message.title, message.body]))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "enough_steps.py").write_text(RULE)
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    result = subprocess.run(
        command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
    answer: list[str] = json.loads(result.stdout)
    return answer


def test_prometheus_gets_it_with_the_users_threshold(found: list[str]) -> None:
    assert "alert: EnoughSteps" in found[0]
    assert "trainer_steps_total >= 7" in found[0]


def test_the_manual_lists_it_with_its_settings(found: list[str]) -> None:
    assert "| EnoughSteps | peer | critical | 0s | 0s | no | PromQL | The peer has made enough steps. |" in found[1]
    assert "| EnoughSteps | `steps` | 1000 | steps that are enough |" in found[1]


def test_it_fires_and_its_message_prints_its_runbook(found: list[str]) -> None:
    assert found[2] == "EnoughSteps: a"
    assert found[3].startswith("9 steps; limit 7.\n")
    assert "What to do: stop the peer, for nothing more is needed of it." in found[3]
