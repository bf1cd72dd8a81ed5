"""The JSON of /api/status."""

from alerts.engine.status import Status
from alerts.scraping.page import parse
from alerts.scraping.scraper import Scrape
from alerts.web.status_json import describe_status
from tests.alerts.conftest import sidecar_page


def test_each_peer_has_a_state_and_an_unreachable_sidecar_is_called_so() -> None:
    scrapes = {
        "a": Scrape(parse(sidecar_page(state="waiting"))),
        "b": Scrape(None, "no connection"),
        "c": Scrape(parse(sidecar_page(up=0))),
        "d": Scrape(parse(sidecar_page(up=None))),
    }
    peers = describe_status(Status("test", 1000.0, scrapes), [], {})["peers"]
    assert [(peer["state"], peer["up"], peer["sidecar_up"]) for peer in peers] == [
        ("waiting", True, True),
        ("unreachable", None, False),
        ("down", False, True),
        ("unknown", None, True),
    ]
