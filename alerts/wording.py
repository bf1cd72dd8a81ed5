"""How this fleet's messages read on each route: language, time zone, templates, and what the service takes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alerts.calendar import find_zone
from alerts.config import AlertsConfig
from alerts.grouping import News
from alerts.letters import Letter, compose
from alerts.messages import Style
from alerts.rules import Rule, Verdict, View
from alerts.send import Sender
from alerts.templating import Templates
from alerts.words import LANGUAGES, Words


class Wording:
    """Words news for the routes."""

    def __init__(self, config: AlertsConfig, sender: Sender) -> None:
        self._sender = sender
        self._style = Style(
            config.fleet, LANGUAGES[config.language], find_zone(config.timezone), peers=len(config.targets)
        )
        common = Templates(config.templates)
        self._templates = {
            route.name: Templates(route.templates) if route.templates else common for route in config.routes
        }

    def style(self, route: str | None = None) -> Style:
        """Without a route, as the status page and the console show it."""
        if route is None:
            return self._style
        return self._style._replace(
            limit=self._sender.body_limit(route),
            html_limit=self._sender.html_limit(route),
            templates=self._templates.get(route, self._style.templates),
        )

    def compose(self, route: str, news: Sequence[News], *, headline: str = "") -> list[Letter]:
        return compose(news, self.style(route), headline=headline)

    def buttons(self, route: str, notification: int) -> tuple[tuple[str, str], ...]:
        """What a reader may answer to a notification that tells of alerts, where the route takes commands."""
        if route not in self._sender.bots:
            return ()
        words = self._style.words.bot
        return (words["ack"], f"ack:{notification}"), (words["silence_button"], f"silence:{notification}")


def put_into(rule: Rule, words: Words) -> Rule:
    """The rule, saying the same in a language; the state then holds what people read."""
    if not words.texts:  # The rules speak it themselves.
        return rule

    def judge(view: View, settings: Any, /) -> Verdict:
        verdict = rule.judge(view, settings)
        return replace(verdict, summary=words.translate(verdict.summary))

    return replace(rule, judge=judge)
