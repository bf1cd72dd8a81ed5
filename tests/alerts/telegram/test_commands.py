"""What the bot answers."""

from typing import cast

from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.silence_store import SilenceStore
from alerts.engine.status import Status
from alerts.messages.single import Style
from alerts.scraping.page import parse
from alerts.scraping.scraper import Scrape
from alerts.telegram.commands import Commands
from tests.alerts.conftest import sidecar_page


class _NoAlerts:
    """As `Dispatcher`, while no alert is pending or firing."""

    def describe_alerts(self, *_: object) -> list[dict[str, object]]:
        return []


def _answer(command: str, scrapes: dict[str, Scrape]) -> str:
    status = Status("test", 1000.0, scrapes)
    silences = cast(SilenceStore, None)
    return Commands(lambda: status, cast(Dispatcher, _NoAlerts()), silences, Style("test")).answer(command, 1000.0)


def test_the_status_has_each_peers_state_and_calls_no_unreachable_peer_stopped() -> None:
    scrapes = {
        "a": Scrape(parse(sidecar_page())),
        "b": Scrape(None, "no connection"),
        "c": Scrape(parse(sidecar_page(up=0))),
        "d": Scrape(parse(sidecar_page(up=0, state="stopped"))),
    }
    answer = _answer("/status", scrapes)
    assert answer.startswith("1 of 4 peers up")
    assert "\na: training, rank 1\nb: unreachable\nc: down, rank 1\nd: stopped, rank 1" in answer
