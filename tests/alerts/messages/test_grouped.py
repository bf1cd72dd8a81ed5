"""Messages of several alerts, as a person reads them."""

import random
import re
from html import escape

import pytest

from alerts.engine.evaluate import Event, Key
from alerts.engine.state import Kind
from alerts.i18n import zh_cn
from alerts.messages.grouped import MAX_PARTS, compose
from alerts.messages.news import News
from alerts.messages.peer_ranges import list_peers
from alerts.messages.single import Message, Style

STYLE = Style("demo", zone=None, find_remedy=lambda rule: f"mend {rule}.", peers=300, limit=3500)


def _news(peers: list[str], kind: Kind = "firing", rule: str = "PeerDown", first: int = 1) -> list[News]:
    return [
        News(number, Event(Key(rule, peer), kind, 1_700_000_125, 1_700_000_000, "critical", "Gone."), 0)
        for number, peer in enumerate(peers, start=first)
    ]


def _reported(messages: list[Message]) -> list[int]:
    return sorted(news.id for message in messages for news in message.news)


def test_a_few_peers_are_in_the_title_and_have_a_line_each() -> None:
    (message,) = compose(_news(["a", "b"]), STYLE)
    assert message.title == "PeerDown: a, b"
    lines = message.body.splitlines()
    assert lines[0].startswith("PeerDown: a. Gone. Since 2023-11-14 ")
    assert lines[1].startswith("PeerDown: b. Gone. Since ")
    assert lines[2:] == ["Fleet demo", "What to do: mend PeerDown."]


def test_an_alert_that_fired_and_resolved_in_the_meantime_is_listed_in_order() -> None:
    (message,) = compose([*_news(["a"]), *_news(["a"], "resolved", first=2), *_news(["b"], first=3)], STYLE)
    assert message.title == "PeerDown: 1 firing, 1 fired and resolved"
    assert [line.partition(".")[0] for line in message.body.splitlines()[:3]] == [
        "PeerDown: a",
        "Resolved: PeerDown: a",
        "PeerDown: b",
    ]


def test_a_storm_is_one_message_that_names_every_peer() -> None:
    (message,) = compose(_news([f"peer-{number:03}" for number in range(1, 301)]), STYLE)
    assert message.title == "PeerDown: all 300 peers"
    assert message.body.splitlines()[1] == "peer-001 to peer-300"
    assert "What to do: mend PeerDown." in message.body


@pytest.mark.parametrize("limit", [1024, 2000, 3500])
def test_however_long_the_names_a_storm_is_at_most_three_messages_that_fit(limit: int) -> None:
    chance = random.Random(3)
    names = ["".join(chance.choices("<abcdefgh&", k=chance.randint(3, 20))) for _ in range(300)]
    news = _news(names)
    messages = compose(news, STYLE._replace(limit=limit))
    assert len(messages) <= MAX_PARTS
    assert all(len(escape(message.body)) <= limit for message in messages)
    assert _reported(messages) == [one.id for one in news]
    text = "\n".join(message.body for message in messages)
    missing = [name for name in set(names) if name not in re.split(r", |\n", text)]
    more = re.search(r"and (\d+) more", text)
    assert len(missing) == (int(more[1]) if more else 0)
    if limit == 3500:
        assert not missing


def test_a_part_carries_the_news_that_it_names() -> None:
    names = [f"{first}{'x' * 30}" for first in "abcdefghijklmnopqrstuvwxyz"]
    messages = compose(_news(names), STYLE._replace(limit=500))
    assert [message.title for message in messages[:2]] == ["PeerDown: 26 peers (1 of 3)", "PeerDown: 26 peers (2 of 3)"]
    for message in messages[:2]:
        assert all(news.event.key.peer in message.body for news in message.news)
    assert _reported(messages) == list(range(1, 27))


def test_a_summary_lists_each_rule_apart() -> None:
    news = [*_news([f"a{n}" for n in range(40)]), *_news(["b"], "resolved", "RankDrop", first=50)]
    (message,) = compose(news, STYLE, headline="Quiet hours ended")
    assert message.title == "Quiet hours ended: 40 firing, 1 resolved"
    assert "PeerDown: 40 peers. First since" in message.body
    assert "\na0 to a39\n" in message.body
    assert "Resolved: RankDrop. First since" in message.body
    assert message.body.endswith("Fleet demo\nWhat to do: mend PeerDown.")


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (["a2", "a1", "a3", "b"], ["a1 to a3", "b"]),
        (["a9", "a10", "a8"], ["a8 to a10"]),
        (["a1", "a2"], ["a1", "a2"]),
        (["a1", "a01", "a2", "a02", "a3", "a03"], ["a1 to a3", "a01 to a03"]),
        (["a1", "a3", "a5"], ["a1", "a3", "a5"]),
        (["1", "2", "3"], ["1 to 3"]),
        (["a", "a"], ["a"]),
    ],
)
def test_consecutive_names_are_a_range(names: list[str], listed: list[str]) -> None:
    items = list_peers(names, "{} to {}")
    assert sorted(item.text for item in items) == sorted(listed)
    assert sorted(peer for item in items for peer in item.peers) == sorted(set(names))


def test_a_message_in_chinese() -> None:
    style = STYLE._replace(words=zh_cn.WORDS)
    (one,) = compose(_news(["a"]), style)
    assert one.title == "PeerDown：a"
    assert "已持续 2 分钟 5 秒" in one.body
    assert "集群 demo，级别：严重" in one.body
    (storm,) = compose(_news([f"p{number}" for number in range(300)], "resolved"), style)
    assert storm.title == "已恢复：PeerDown：全部 300 个节点"
    assert "p0 至 p299" in storm.body
