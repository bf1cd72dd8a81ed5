"""The queue: what is due first, what waits for what, what survives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.delivery.queue import Queue
from alerts.delivery.routing import Decision, DeliveryState, RoutedEvent
from alerts.engine.evaluate import Event, Key
from alerts.engine.state import Kind
from alerts.messages.single import Message
from alerts.store import Store

Routes = tuple[str, ...]
KEY = Key("PeerDown", "a")
OTHER = Key("PeerDown", "b")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    store = Store(tmp_path / "alerts.sqlite")
    yield Queue(store)
    store.close()


def _add(queue: Queue, key: Key, kind: Kind = "firing", *, routes: Routes = ("hook",), held: bool = False) -> None:
    event = Event(key, kind, 0, 0, "critical", "gone")
    queue.add(Decision(tuple(RoutedEvent(route, event, held) for route in routes)), DeliveryState(), now=0)


def _post(queue: Queue, key: Key, kind: Kind = "firing", *, routes: Routes = ("hook",), now: float = 0) -> None:
    _add(queue, key, kind, routes=routes)
    for route in routes:
        news = tuple(queue.waiting(route))
        queue.post(route, "", [Message(f"{kind} {key.peer}", "body", news=news)] if news else [], now)


def _due(queue: Queue, route: str = "hook") -> str | None:
    delivery = queue.next_delivery(route)
    return delivery.message.title if delivery else None


def _take(queue: Queue, route: str = "hook") -> str:
    delivery = queue.next_delivery(route)
    assert delivery is not None
    queue.mark_delivered(delivery.id)
    return delivery.message.title


def test_each_route_gets_its_own_delivery(queue: Queue) -> None:
    _post(queue, KEY, routes=("hook", "mail"))
    assert _take(queue, "hook") == "firing a"
    assert _due(queue, "hook") is None
    assert _due(queue, "mail") == "firing a"


def test_a_resolved_notification_waits_for_its_firing_and_another_alert_does_not(queue: Queue) -> None:
    _post(queue, KEY)
    _post(queue, KEY, "resolved")
    _post(queue, OTHER)
    first = queue.next_delivery("hook")
    assert first is not None
    queue.mark_failed(first.id, 100)
    assert _take(queue) == "firing b"
    assert _due(queue) == "firing a"
    assert _take(queue) == "firing a"
    assert _take(queue) == "resolved a"


def test_no_reminder_goes_to_a_route_that_was_not_notified(queue: Queue) -> None:
    _post(queue, KEY, routes=("hook", "mail"))
    _take(queue, "hook")
    _post(queue, KEY, "reminder", routes=("hook", "mail"))
    assert _take(queue, "hook") == "reminder a"
    assert _take(queue, "mail") == "firing a"
    assert _due(queue, "mail") is None


def test_a_pause_that_the_service_asked_for_outlives_a_release(queue: Queue) -> None:
    _post(queue, KEY)
    _post(queue, OTHER, routes=("mail",))
    for route in ("hook", "mail"):
        delivery = queue.next_delivery(route)
        assert delivery is not None
        queue.mark_failed(delivery.id, 50)
    queue.hold_route("hook", 80)
    for route, due_at in (("hook", 80), ("mail", 0)):
        queue.release_route(route)
        delivery = queue.next_delivery(route)
        assert delivery is not None
        assert delivery.due_at == due_at


def test_notifications_too_old_or_without_a_route_expire(queue: Queue) -> None:
    _post(queue, KEY, routes=("hook", "gone"), now=100)
    _post(queue, OTHER, now=900)
    assert queue.expire(500, ["hook"]) == [("gone", 1), ("hook", 1)]
    assert queue.expire(500, ["hook"]) == []
    assert _due(queue) == "firing b"
    assert queue.count_deliveries() == {"gone": {"expired": 1}, "hook": {"expired": 1, "pending": 1}}


def test_a_message_of_several_alerts_waits_for_all_earlier_ones(queue: Queue) -> None:
    _post(queue, KEY)
    _add(queue, KEY, "resolved")
    _add(queue, OTHER)
    queue.post("hook", "", [Message("both", "", news=tuple(queue.waiting("hook")))], 0)
    first = queue.next_delivery("hook")
    assert first is not None
    queue.mark_failed(first.id, 100)
    assert _take(queue) == "firing a"
    assert _take(queue) == "both"


def test_what_follows_on_held_news_is_held_as_well(queue: Queue) -> None:
    _add(queue, KEY, held=True)
    _add(queue, KEY, "resolved")
    _add(queue, OTHER)
    assert [news.held for news in queue.waiting("hook")] == [True, True, False]
    assert queue.count_deliveries() == {"hook": {"held": 2, "pending": 1}}


def test_what_failed_while_another_was_accepted_is_not_collapsed(queue: Queue) -> None:
    for peer in "abcd":
        _post(queue, Key("PeerDown", peer))
    poison = queue.next_delivery("hook")
    assert poison is not None
    queue.mark_failed(poison.id, 100)
    assert queue.collapsible("hook", ())[0] == 4
    assert _take(queue) == "firing b"
    assert queue.collapsible("hook", ())[0] == 2


def test_a_summary_replaces_its_notifications_and_keeps_the_pause(queue: Queue) -> None:
    for peer in "ab":
        _post(queue, Key("PeerDown", peer))
    queue.hold_route("hook", 80)
    _, news = queue.collapsible("hook", ())
    queue.collapse("hook", [Message("both", "", news=tuple(news))], 0)
    delivery = queue.next_delivery("hook")
    assert delivery is not None
    assert (delivery.message.title, delivery.due_at) == ("both", 80)
    queue.mark_delivered(delivery.id)
    assert queue.count_deliveries() == {"hook": {"delivered": 1}}


def test_a_mark_survives(queue: Queue) -> None:
    assert queue.mark("digest") is None
    queue.set_mark("digest", 5)
    assert queue.mark("digest") == 5
