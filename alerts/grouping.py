"""Which news makes one message: the news of an incident is held a moment, so that a storm is a few messages. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from alerts.durations import Duration
from alerts.evaluate import Event


class Grouping(BaseModel):
    """How long news waits for more of its kind, and how long after a message the next of that kind follows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait: Duration = 2.0
    interval: Duration = 30.0


class News(NamedTuple):
    """An event on its way to one route; `queued_at` in steady epoch seconds. `held`: quiet hours kept it back."""

    id: int
    event: Event
    queued_at: float
    held: bool = False

    @property
    def topic(self) -> str:
        """What is told together: troubles of one rule, or their ends."""
        return f"{self.event.key.rule} {'ends' if self.event.kind == 'resolved' else 'fires'}"


def group(
    waiting: Iterable[News], told_at: Mapping[str, float], now: float, grouping: Grouping
) -> tuple[list[tuple[str, tuple[News, ...]]], float | None]:
    """The messages that are due, each with its topic, and when the next one will be (None: nothing waits).

    `told_at` says when each topic's last message was made. Earlier news of an alert goes along with the later, whatever
    its topic, so that no message tells an end before its beginning.
    """
    left = {news.id: news for news in sorted(waiting, key=lambda one: one.id)}
    messages: list[tuple[str, tuple[News, ...]]] = []
    dues = []
    for topic in dict.fromkeys(news.topic for news in left.values()):
        first = next((news for news in left.values() if news.topic == topic), None)
        if first is None:
            continue
        due = _due(first.queued_at, told_at.get(topic), now, grouping)
        if due > now:
            dues.append(due)
            continue
        last = {news.event.key: news.id for news in left.values() if news.topic == topic}
        members = tuple(news for news in left.values() if news.id <= last.get(news.event.key, -1))
        messages.append((topic, members))
        for news in members:
            del left[news.id]
    return messages, min(dues) if dues and left else None


def _due(queued_at: float, told_at: float | None, now: float, grouping: Grouping) -> float:
    # A time to come was written before the clock was put back while nothing ran: it says nothing any more.
    since_queued = queued_at if queued_at <= now else now - grouping.wait
    due = since_queued + grouping.wait
    if told_at is not None and told_at <= now:
        due = max(due, told_at + grouping.interval)
    return due
