"""Alerts of a running trainer name the known problem that its log tells, and the remedy."""

from collections.abc import Mapping

import pytest

from alerts import i18n
from alerts.rules import View, discover
from alerts.scraping.page import parse
from tests.alerts.rules.scenarios import BEGIN as NOW

HOUR = 3600.0
# Which alert, what its page shows, and what it must know of the past.
ALERTS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "PeerStalled": (
        f"""trainer_phase_start_timestamp_seconds {NOW - 5 * HOUR}
trainer_state{{trainer_state="training"}} 1
trainer_stall_after_seconds 60
""",
        {},
    ),
    "ProgressMissing": (
        f"""trainer_phase_start_timestamp_seconds {NOW - 5 * HOUR}
trainer_state{{trainer_state="training"}} 1
trainer_stall_after_seconds 60
trainer_progress_readers 1
trainer_activity_state{{trainer_activity_state="usual"}} 1
""",
        {},
    ),
    "RewardNotCounting": (
        f"""swarm_source_up{{source="chain"}} 1
swarm_source_reward_change_timestamp_seconds{{source="chain",contract="0.5"}} {NOW - 9 * HOUR}
swarm_source_participation_change_timestamp_seconds{{source="chain",contract="0.5"}} {NOW}
""",
        {},
    ),
    "NeverSubmits": (
        "swarm_submit_period_seconds 10800\n",
        {"started": NOW - 600, "short": 4, "since": NOW - 5 * HOUR},
    ),
}


def summarise(rule: str, problems: Mapping[str, float], *, language: str = "en") -> str:
    """The summary of an alert that fires, of a peer whose log tells these problems since so many hours."""
    text, memory = ALERTS[rule]
    text += f"trainer_up 1\ntrainer_start_timestamp_seconds {NOW - 20 * HOUR}\n"
    for name, hours in problems.items():
        text += f'trainer_known_problem_start_timestamp_seconds{{problem="{name}"}} {NOW - hours * HOUR}\n'
        text += f'trainer_known_problem_timestamp_seconds{{problem="{name}"}} {NOW}\n'
        text += f'trainer_known_problem_lines_total{{problem="{name}"}} {100 * hours}\n'
    found = discover()[rule]
    verdict = found.judge(View("amber", NOW, parse(text), memory=memory), found.settings())
    assert verdict.condition == "active"
    return i18n.discover()[language].translate(verdict.summary)


@pytest.mark.parametrize("rule", ALERTS)
def test_an_alert_of_a_running_trainer_names_problem_and_remedy(rule: str) -> None:
    summary = summarise(rule, {"rewards_refused": 2})
    assert "Known problem: rewards are not accepted by the chain. Remedy: log in again at the log-in server" in summary
    chinese = summarise(rule, {"rewards_refused": 2}, language="zh-CN")
    assert "已知问题：" in chinese
    assert "rewards" not in chinese


@pytest.mark.parametrize("rule", ALERTS)
def test_without_a_problem_it_names_none(rule: str) -> None:
    assert "Known problem" not in summarise(rule, {})
    # Of a sidecar that knows more than this version.
    assert "Known problem" not in summarise(rule, {"a_later_one": 2})


def test_what_ends_trainers_is_named_before_what_they_survive() -> None:
    assert "DHT process broke" in summarise("PeerStalled", {"chain_unreachable": 3, "dht_connection": 1})
    assert "the chain did not answer" in summarise("PeerStalled", {"chain_unreachable": 3})
    assert "needed more memory" in summarise("NeverSubmits", {"chain_unreachable": 9, "out_of_memory": 1})


def test_an_unpaid_reward_names_what_keeps_it_from_being_paid() -> None:
    assert "several peers of one account" in summarise(
        "RewardNotCounting", {"port_in_use": 3, "account_collision": 1, "chain_unreachable": 2}
    )
