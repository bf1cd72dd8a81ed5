"""The daily summary."""

from alerts.engine.status import Status
from alerts.messages.digest import compose_digest
from alerts.messages.single import Style
from alerts.scraping.page import parse
from alerts.scraping.scraper import Scrape
from tests.alerts.conftest import sidecar_page


def test_only_peers_that_are_known_to_run_count_as_running() -> None:
    pages = [sidecar_page(), sidecar_page(up=0), sidecar_page(up=None), sidecar_page(state="waiting")]
    scrapes = {str(number): Scrape(parse(page)) for number, page in enumerate(pages)}
    status = Status("test", 1000.0, {**scrapes, "x": Scrape(None, "no connection")})
    assert compose_digest(status, {}, Style("test")).body.startswith("2 of 5 peers up")
