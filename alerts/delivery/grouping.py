"""Groups news into messages: news waits a moment for more, so that a storm is a few messages. Pure.

An incident crosses rules: when a host dies, peers go silent, sources fail and memory runs out, and that is one message.
So a route gets all that begins in one group, and all that ends in another.
"""

from collections.abc import Collection, Iterable, Mapping

from alerts.delivery.settings import Grouping
from alerts.messages.news import News

# The pause doubles with each message of a storm, up to this many intervals.
MAX_PAUSE_INTERVALS = 4
# A storm is over once a route got no message for so many intervals.
STORM_INTERVALS = 20


def group(
    waiting: Iterable[News], sent_at: Mapping[str, Collection[float]], now: float, grouping: Grouping
) -> tuple[list[tuple[str, tuple[News, ...]]], float | None]:
    """The messages that are due, each with its topic, and when the next one will be (None: nothing waits).

    `sent_at` holds when each topic's latest messages were made. Earlier news of an alert goes along with the later,
    whatever its topic, so that no resolution is sent before its firing.
    """
    left = {news.id: news for news in sorted(waiting, key=lambda one: one.id)}
    messages: list[tuple[str, tuple[News, ...]]] = []
    dues = []
    for topic in dict.fromkeys(news.topic for news in left.values()):
        first = next((news for news in left.values() if news.topic == topic), None)
        if first is None:
            continue
        due = _due(first.queued_at, sent_at.get(topic, ()), now, grouping)
        if due > now:
            dues.append(due)
            continue
        last = {news.event.key: news.id for news in left.values() if news.topic == topic}
        members = tuple(news for news in left.values() if news.id <= last.get(news.event.key, -1))
        messages.append((topic, members))
        for news in members:
            del left[news.id]
    return messages, min(dues) if dues and left else None


def _due(queued_at: float, sent_at: Collection[float], now: float, grouping: Grouping) -> float:
    # A time in the future was written before the clock was put back while nothing ran: it is ignored.
    since_queued = queued_at if queued_at <= now else now - grouping.wait
    recent = {at for at in sent_at if now - STORM_INTERVALS * grouping.interval < at <= now}
    if not recent:
        return since_queued + grouping.wait
    pause = grouping.interval * min(2 ** (len(recent) - 1), MAX_PAUSE_INTERVALS)
    return max(since_queued + grouping.wait, max(recent) + pause)
