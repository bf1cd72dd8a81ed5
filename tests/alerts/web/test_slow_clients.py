"""A real alert loop under hostile connections and with all its streams taken."""

from collections.abc import Callable
from urllib.parse import urlsplit

import psutil

from alerts.web.stream import MAX_STREAMS
from tests.alerts.conftest import AlertLoop, Sidecar
from tests.alerts.streams import Crowd
from tests.exporter.crowd import Scraper, attacking
from tests.fakes import wait_for


def test_the_page_stays_open_under_slow_huge_and_random_connections(
    make_loop: Callable[..., AlertLoop], sidecar: Sidecar
) -> None:
    loop = make_loop({"a": sidecar})
    loop.start()
    assert loop.process
    process = psutil.Process(loop.process.pid)
    memory = process.memory_full_info().uss
    port = urlsplit(loop.address).port or 0
    with Crowd(loop.address, MAX_STREAMS) as crowd, attacking(port, 1000):
        wait_for(lambda: crowd.answered() == MAX_STREAMS, 30, "all streams are open")
        assert loop.get("/api/stream").status_code == 503
        scraper = Scraper(port)
        for _ in range(30):
            scraper.scrape()
            assert loop.get("/").status_code == 200
        scraper.close()
        assert crowd.answered() == MAX_STREAMS
        assert process.memory_full_info().uss < memory + (64 << 20)
    assert loop.stop() == 0
    assert "Traceback" not in loop.output()
    assert "WARNING" not in loop.output()
