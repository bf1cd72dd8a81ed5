"""Which news is grouped into one message, and when."""

import pytest

from alerts.delivery.grouping import group
from alerts.delivery.settings import Grouping
from alerts.engine.evaluate import Event, Key
from alerts.engine.state import Kind
from alerts.messages.news import News

RULES = Grouping(wait="2s", interval="30s")


def _news(number: int, peer: str, kind: Kind = "firing", *, at: float = 0, rule: str = "PeerDown") -> News:
    return News(number, Event(Key(rule, peer), kind, at, at, "critical", ""), at)


def _ids(messages: list[tuple[str, tuple[News, ...]]]) -> list[list[int]]:
    return [[news.id for news in members] for _, members in messages]


def test_news_waits_a_moment_for_more_of_its_kind() -> None:
    waiting = [_news(1, "a"), _news(2, "b", at=1.5)]
    assert group(waiting[:1], {}, 1.9, RULES) == ([], 2.0)
    messages, due = group(waiting, {}, 2.0, RULES)
    assert (_ids(messages), due) == ([[1, 2]], None)


def test_what_comes_later_is_collected_into_one_message_that_follows() -> None:
    waiting = [_news(3, "c", at=5), _news(4, "d", at=20)]
    assert group(waiting, {"fires": [2.0]}, 31, RULES) == ([], 32.0)
    assert _ids(group(waiting, {"fires": [2.0]}, 32, RULES)[0]) == [[3, 4]]


def test_rules_are_grouped_and_resolutions_are_separate() -> None:
    waiting = [_news(1, "a"), _news(2, "b", rule="RankDrop"), _news(3, "c", "resolved")]
    assert _ids(group(waiting, {}, 9, RULES)[0]) == [[1, 2], [3]]


@pytest.mark.parametrize(
    ("sent_at", "due"),
    [([0.0], 30.0), ([0.0, 30.0], 90.0), ([0.0, 30.0, 90.0], 210.0), ([0.0, 30.0, 90.0, 210.0, 330.0], 450.0)],
)
def test_the_messages_of_a_long_storm_become_rarer(sent_at: list[float], due: float) -> None:
    assert group([_news(1, "a", at=sent_at[-1] + 1)], {"fires": sent_at}, sent_at[-1] + 3, RULES) == ([], due)


def test_after_a_quiet_while_news_is_sent_at_once_again() -> None:
    assert _ids(group([_news(1, "a", at=700)], {"fires": [0.0, 30.0, 90.0]}, 702, RULES)[0]) == [[1]]


def test_a_resolution_does_not_wait_for_the_interval_of_firings() -> None:
    waiting = [_news(1, "a", "resolved", at=5), _news(2, "b", at=5)]
    messages, due = group(waiting, {"fires": [2.0]}, 7, RULES)
    assert (_ids(messages), due) == ([[1]], 32.0)


def test_no_resolution_is_sent_before_its_firing() -> None:
    waiting = [_news(1, "a", at=5), _news(2, "b", at=5), _news(3, "a", "resolved", at=6)]
    messages, due = group(waiting, {"fires": [2.0]}, 8, RULES)
    assert (_ids(messages), due) == ([[1, 3]], 32.0)


def test_a_clock_that_was_put_back_delays_nothing() -> None:
    assert _ids(group([_news(1, "a", at=9000)], {"fires": [9000.0]}, 10, RULES)[0]) == [[1]]


def test_without_waiting_an_evaluation_is_one_message() -> None:
    rules = Grouping(wait="0s", interval="0s")
    assert _ids(group([_news(1, "a"), _news(2, "b")], {"fires": [0.0]}, 0, rules)[0]) == [[1, 2]]
