"""The message of one alert, as a person reads it."""

import time
from collections.abc import Iterator
from html import escape

import pytest

from alerts.engine.evaluate import Event, Key
from alerts.i18n import discover
from alerts.messages.single import Style, render

EVENT = Event(Key("PeerStalled", "sly_fox"), "firing", 1_700_000_125, 1_700_000_000, "critical", "No progress.")


def _style(remedy: str = "x", *, fleet: str = "demo") -> Style:
    return Style(fleet, find_remedy=lambda _rule: remedy)


@pytest.fixture(autouse=True)
def berlin() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def test_an_alert_names_rule_peer_severity_start_and_remedy() -> None:
    message = render(EVENT, _style("restart it."))
    assert message.title == "PeerStalled: sly_fox"
    assert message.body == (
        "No progress.\n"
        "Since 2023-11-14 23:13:20 CET (2 min 5 s).\n"
        "Fleet demo, severity critical\n"
        "What to do: restart it."
    )


def test_a_resolved_alert_says_how_long_it_lasted() -> None:
    message = render(EVENT.__class__(**{**vars(EVENT), "kind": "resolved", "summary": ""}), _style())
    assert message.title == "Resolved: PeerStalled: sly_fox"
    assert message.body == "Lasted 2 min 5 s, since 2023-11-14 23:13:20 CET.\nFleet demo"


def test_a_reminder_says_that_it_is_one() -> None:
    message = render(EVENT.__class__(**{**vars(EVENT), "kind": "reminder"}), _style())
    assert message.title == "Still firing: PeerStalled: sly_fox"


def test_the_longest_text_fits_into_a_telegram_message_even_escaped() -> None:
    event = EVENT.__class__(**{**vars(EVENT), "key": Key("R" * 20, "<" * 64), "summary": "&" * 10_000})
    message = render(event, _style("<" * 500, fleet="<" * 64))
    # Telegram counts what it shows; the escaped text has to fit only into what the plug-in cuts, which is larger.
    assert len(message.title) + len(message.body) < 2000
    assert len(escape(message.title)) < 1000


@pytest.mark.parametrize(("language", "text"), [("en", "an unknown time"), ("zh-CN", "未知时间")])
def test_a_timestamp_out_of_range_is_an_unknown_time_in_the_fleets_language(language: str, text: str) -> None:
    event = EVENT.__class__(**{**vars(EVENT), "since": 1e18})
    assert text in render(event, _style()._replace(words=discover()[language])).body
