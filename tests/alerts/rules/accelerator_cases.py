"""When AcceleratorLost must fire, when it must not, and when it is over."""

from typing import Any

from tests.alerts.rules.scenarios import Changes, Scenario


def _card(minute: float, begin: float, end: float, problem: str = "card_lost") -> dict[str, Any]:
    """A card that is lost from one minute to another."""
    is_lost = begin <= minute < end
    return {"card_up": int(not is_lost), **({problem: 1} if is_lost else {})}


def _ends_of_it(minute: float, now: float) -> Changes:
    """Nobody asks the card some time after its trainer has ended."""
    down = {"up": 0, "started": None, "cpu": None, "footprint": None} if 6 <= minute < 60 else {}
    return {**down, **(_card(minute, 5, 20) if minute < 20 else {})}


ACCELERATOR_CASES = (
    Scenario("AcceleratorLost", "it is lost, then reset", lambda m, n: _card(m, 5, 20), (7, 19), (4, 24)),
    Scenario("AcceleratorLost", "the driver hangs", lambda m, n: _card(m, 5, 20, "card_silent"), (7, 19), (4, 24)),
    Scenario("AcceleratorLost", "one probe met a busy machine", lambda m, n: _card(m, 5, 5.5), quiet=(4, 5, 6, 9)),
    Scenario(
        "AcceleratorLost", "the trainer ends of it, then trains on the processor", _ends_of_it, (7, 19, 40, 59), (4, 64)
    ),
    Scenario("AcceleratorLost", "there is none", lambda m, n: {}, quiet=(1, 9)),
)
