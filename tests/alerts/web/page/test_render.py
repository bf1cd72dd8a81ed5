"""The page's HTML, part by part."""

import json
import re
from typing import Any

import pytest

from alerts.i18n import discover
from alerts.i18n.translatable import say
from alerts.sizes import show_size
from alerts.web.live_page import LivePage
from alerts.web.page.render import Content, Renderer, show_number
from alerts.web.page.rows import board_rows, peer_rows

NASTY = "<b>'\"&"
PEER = {"peer": NASTY, "nickname": NASTY, "state": "training", "rank": 3, "stage": None}
ALERT = {
    "rule": NASTY,
    "peer": NASTY,
    "severity": "critical",
    "state": "firing",
    "since": 990.0,
    "summary": NASTY,
    "silenced": False,
    "acknowledged": False,
    "inhibited_by": None,
}


def _content(**changes: Any) -> Content:
    values: dict[str, Any] = {
        "fleet": NASTY,
        "now": 1000.0,
        "evaluated_at": 998.0,
        "is_healthy": True,
        "stale_after": 60.0,
        "peers": peer_rows([NASTY], [PEER], [ALERT], {}, 1000.0),
        "alerts": [ALERT],
        "events": [{"id": 1, "at": 990.0, "kind": "firing", "title": NASTY, "body": NASTY}],
        "board": board_rows([{"id": "a", "nickname": NASTY, "total": 1.0, "last": None}], frozenset()),
        "has_board": True,
        "board_problem": NASTY,
        **changes,
    }
    return Content(**values)


@pytest.mark.parametrize("language", sorted(discover()))
def test_every_part_escapes_what_others_wrote(language: Any) -> None:
    live = LivePage(Renderer(language, None), _content)
    page = live.page()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert NASTY not in page
    assert f'<html lang="{language}"' in page
    assert " style=" not in page
    assert "onclick" not in page


def test_why_the_first_watcher_is_away_is_told_in_the_page_s_language() -> None:
    reason = say("it watches the fleet {fleet}", fleet=NASTY)
    notices = [("taking_over", "https://first", reason), ("took_over", "https://first", "foreign text")]
    content = _content(notices=notices)
    summary = Renderer("zh-CN", None).fragments(content)["summary"]
    assert "正在为 https://first 备用，但其无响应：它监控的是集群 &lt;b&gt;" in summary
    assert "https://first 无响应：foreign text。" in summary
    assert "does not answer: it watches the fleet &lt;b&gt;" in Renderer("en", None).fragments(content)["summary"]


def test_what_a_peer_learns_from_is_told_beside_its_reward() -> None:
    peer = {**PEER, "reward_mean": 0.5, "entropy": 0.25, "completions_cut_off": 0.95}
    page = LivePage(Renderer("en", None), lambda: _content(peers=peer_rows([NASTY], [peer], [], {}, 1000.0))).page()
    assert 'title="entropy 0.250 · cut off 0.950"' in page
    silent = LivePage(Renderer("en", None), lambda: _content(peers=peer_rows([NASTY], [PEER], [], {}, 1000.0))).page()
    assert "entropy" not in silent


@pytest.mark.parametrize(
    ("credit", "said"),
    [
        ({}, ""),
        ({"registered": False, "credited_reward": 0.0}, "not registered"),
        ({"registered": True, "credited_reward": 27.0, "credited_timestamp": 400.0}, "credited 27 10 min ago"),
        ({"registered": True, "credited_reward": -4.0}, "credited -4"),
    ],
)
def test_what_a_contract_credits_is_told_beside_the_reward(credit: dict[str, Any], said: str) -> None:
    rows = peer_rows([NASTY], [{**PEER, **credit}], [], {}, 1000.0)
    page = LivePage(Renderer("en", None), lambda: _content(peers=rows)).page()
    found = re.search(r'<span class="credit.*?>(.*?)</span>', page)
    assert " ".join(re.sub("<.*?>", " ", found[1]).split()) == said if found else not said


def test_suppressed_alerts_do_not_count_as_firing() -> None:
    hidden = [{**ALERT, "silenced": True}, {**ALERT, "inhibited_by": "PeerDown: x"}, {**ALERT, "state": "pending"}]
    content = _content(alerts=hidden)
    renderer = Renderer("en", None)
    assert content.firing == []
    assert renderer.title(content).startswith(NASTY)
    assert "No alerts firing" in renderer.fragments(content)["summary"]
    assert renderer.title(_content()).startswith("(1) ")


def test_a_loop_that_stopped_evaluating_comes_first_on_the_page() -> None:
    summary = Renderer("en", None).fragments(_content(is_healthy=False))["summary"]
    assert "Rule evaluation has stopped" in summary


def test_a_reader_gets_only_what_changed_since_its_mark() -> None:
    contents = [_content(), _content(), _content(board_problem=None)]
    live = LivePage(Renderer("en", None), lambda: contents.pop(0))
    first, update = live.since("")
    assert {"summary", "board", "peer-0"} <= set(json.loads(update)["parts"])
    live.invalidate()
    second, update = live.since(first)
    assert json.loads(update)["parts"] == {}
    assert second != first
    live.invalidate()
    _, update = live.since(first)
    assert set(json.loads(update)["parts"]) == {"board"}
    for foreign in ("x", "0-99", first.partition("-")[0] + "-x", first.partition("-")[0] + "-٣"):
        assert "summary" in json.loads(live.since(foreign)[1])["parts"]


def test_numbers_are_as_long_as_people_read_them() -> None:
    assert [show_number(value) for value in (None, 0.1234, 12.345, 123.45, 12345.6)] == [
        "–",
        "0.12",
        "12.35",
        "123.5",
        "12,346",
    ]
    assert [show_size(value) for value in (None, 5 * 2**20, 3.26 * 2**30)] == ["–", "5 MiB", "3.3 GiB"]
