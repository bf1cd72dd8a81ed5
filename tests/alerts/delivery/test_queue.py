"""The queue: what is due first, what waits for what, what survives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.delivery.queue import Queue
from alerts.delivery.routing import Decision, DeliveryState, RoutedEvent
from alerts.engine.evaluate import Event, Key
from alerts.engine.state import Kind
from alerts.messages.grouped import Letter
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


def _tell(queue: Queue, key: Key, kind: Kind = "firing", *, routes: Routes = ("hook",), now: float = 0) -> None:
    _add(queue, key, kind, routes=routes)
    for route in routes:
        news = tuple(queue.waiting(route))
        queue.post(route, "", [Letter(f"{kind} {key.peer}", "body", news)] if news else [], now)


def _due(queue: Queue, route: str = "hook") -> str | None:
    delivery = queue.next_delivery(route)
    return delivery.message.title if delivery else None


def _take(queue: Queue, route: str = "hook") -> str:
    delivery = queue.next_delivery(route)
    assert delivery is not None
    queue.mark_delivered(delivery.id)
    return delivery.message.title


def test_each_route_gets_its_own_delivery(queue: Queue) -> None:
    _tell(queue, KEY, routes=("hook", "mail"))
    assert _take(queue, "hook") == "firing a"
    assert _due(queue, "hook") is None
    assert _due(queue, "mail") == "firing a"


def test_a_recovery_waits_for_its_firing_but_another_alert_goes_ahead(queue: Queue) -> None:
    _tell(queue, KEY)
    _tell(queue, KEY, "resolved")
    _tell(queue, OTHER)
    first = queue.next_delivery("hook")
    assert first is not None
    queue.mark_failed(first.id, 100)
    assert _take(queue) == "firing b"
    assert _due(queue) == "firing a"
    assert _take(queue) == "firing a"
    assert _take(queue) == "resolved a"


def test_nobody_is_reminded_of_what_they_were_not_told(queue: Queue) -> None:
    _tell(queue, KEY, routes=("hook", "mail"))
    _take(queue, "hook")
    _tell(queue, KEY, "reminder", routes=("hook", "mail"))
    assert _take(queue, "hook") == "reminder a"
    assert _take(queue, "mail") == "firing a"
    assert _due(queue, "mail") is None


def test_a_pause_that_the_service_asked_for_outlives_a_release(queue: Queue) -> None:
    _tell(queue, KEY)
    _tell(queue, OTHER, routes=("mail",))
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


def test_what_is_too_old_or_has_no_route_is_given_up_and_counted(queue: Queue) -> None:
    _tell(queue, KEY, routes=("hook", "gone"), now=100)
    _tell(queue, OTHER, now=900)
    assert queue.expire(500, ["hook"]) == [("gone", 1), ("hook", 1)]
    assert queue.expire(500, ["hook"]) == []
    assert _due(queue) == "firing b"
    assert queue.count_deliveries() == {"gone": {"expired": 1}, "hook": {"expired": 1, "pending": 1}}


def test_a_message_of_several_alerts_waits_for_all_that_was_told_of_them(queue: Queue) -> None:
    _tell(queue, KEY)
    _add(queue, KEY, "resolved")
    _add(queue, OTHER)
    queue.post("hook", "", [Letter("both", "", tuple(queue.waiting("hook")))], 0)
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


def test_what_failed_while_another_was_taken_is_not_collapsed(queue: Queue) -> None:
    for peer in "abcd":
        _tell(queue, Key("PeerDown", peer))
    poison = queue.next_delivery("hook")
    assert poison is not None
    queue.mark_failed(poison.id, 100)
    assert queue.collapsible("hook", ())[0] == 4
    assert _take(queue) == "firing b"
    assert queue.collapsible("hook", ())[0] == 2


def test_a_summary_takes_the_place_of_what_it_tells_and_keeps_the_pause(queue: Queue) -> None:
    for peer in "ab":
        _tell(queue, Key("PeerDown", peer))
    queue.hold_route("hook", 80)
    _, news = queue.collapsible("hook", ())
    queue.collapse("hook", [Letter("both", "", tuple(news))], 0)
    delivery = queue.next_delivery("hook")
    assert delivery is not None
    assert (delivery.message.title, delivery.due_at) == ("both", 80)
    queue.mark_delivered(delivery.id)
    assert queue.count_deliveries() == {"hook": {"delivered": 1}}


def test_a_mark_survives(queue: Queue) -> None:
    assert queue.mark("digest") is None
    queue.set_mark("digest", 5)
    assert queue.mark("digest") == 5
