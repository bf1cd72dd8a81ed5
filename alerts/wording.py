"""How this fleet's messages read on each route: language, time zone, and the length that the service takes."""

from collections.abc import Sequence

from alerts.calendar import find_zone
from alerts.config import AlertsConfig
from alerts.grouping import News
from alerts.letters import Letter, compose
from alerts.messages import Style
from alerts.send import Sender
from alerts.words import LANGUAGES


class Wording:
    """Words news for the routes."""

    def __init__(self, config: AlertsConfig, sender: Sender) -> None:
        self._sender = sender
        self._style = Style(
            config.fleet, LANGUAGES[config.language], find_zone(config.timezone), peers=len(config.targets)
        )

    def style(self, route: str | None = None) -> Style:
        """Without a route, as the status page and the console show it."""
        if route is None:
            return self._style
        return self._style._replace(limit=self._sender.body_limit(route))

    def compose(self, route: str, news: Sequence[News], *, headline: str = "") -> list[Letter]:
        return compose(news, self.style(route), headline=headline)
