"""The style of each route's messages: language, time zone, templates, and the service's limits."""

from collections.abc import Sequence

from alerts.delivery.apprise_sender import Sender
from alerts.delivery.settings import DeliverySettings
from alerts.i18n import discover
from alerts.i18n.zones import find_zone
from alerts.messages.grouped import compose
from alerts.messages.news import News
from alerts.messages.single import Message, Style
from alerts.messages.templating import Templates


class RouteStyles:
    """Renders news for the routes."""

    def __init__(self, settings: DeliverySettings, sender: Sender, *, peers: int = 0) -> None:
        self._sender = sender
        self._style = Style(settings.fleet, discover()[settings.language], find_zone(settings.timezone), peers=peers)
        common = Templates(settings.templates)
        self._templates = {
            route.name: Templates(route.templates) if route.templates else common for route in settings.routes
        }

    def style(self, route: str | None = None) -> Style:
        """The style of a route; without one, that of the event log, the status page and the console."""
        if route is None:
            return self._style
        limits = self._sender.limits(route)
        return self._style._replace(
            limit=limits.body,
            html_limit=limits.html,
            title_limit=limits.title,
            measure=limits.measure,
            templates=self._templates.get(route, self._style.templates),
        )

    def compose(self, route: str, news: Sequence[News], *, headline: str = "") -> list[Message]:
        return compose(news, self.style(route), headline=headline)

    def buttons(self, route: str, notification: int) -> tuple[tuple[str, str], ...]:
        """The buttons under a notification about alerts, where the route takes commands."""
        if route not in self._sender.bots:
            return ()
        words = self._style.words.bot
        return (words["ack"], f"ack:{notification}"), (words["silence_button"], f"silence:{notification}")
