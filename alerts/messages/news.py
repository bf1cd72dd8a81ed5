"""An event on its way to one route."""

from typing import NamedTuple

from alerts.engine.evaluate import Event


class News(NamedTuple):
    """An event on its way to one route; `queued_at` in steady epoch seconds. `held`: held back by quiet hours."""

    id: int
    event: Event
    queued_at: float
    held: bool = False

    @property
    def topic(self) -> str:
        """What is grouped together: alerts that fire, and alerts that end."""
        return "ends" if self.event.kind == "resolved" else "fires"
