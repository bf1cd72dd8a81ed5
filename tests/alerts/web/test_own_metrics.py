"""The alert loop's own /metrics page, between evaluations."""

from collections import Counter
from types import SimpleNamespace

from alerts.engine.status import Status
from alerts.web.own_metrics import FRESH_SECONDS, MetricsPage


def make_page(tmp_path, clock):
    """A page of small stand-ins for loop and outbox, which hold what it reads."""
    loop = SimpleNamespace(status=Status("test", 5.0), restarts={}, databases={})
    outbox = SimpleNamespace(results=Counter(), count_deliveries=dict)
    return MetricsPage(loop, outbox, tmp_path, Counter({("rack-1", "accepted"): 3}), clock), loop, outbox


def test_the_page_is_rendered_once_a_second_and_after_each_evaluation(tmp_path):
    now = 100.0
    page, loop, outbox = make_page(tmp_path, lambda: now)
    assert b"alerts_last_evaluation_timestamp_seconds 5.0" in page.content()
    assert b'alerts_pushes_total{machine="rack-1",result="accepted"} 3.0' in page.content()
    outbox.results["sent"] = 7
    assert b'result="sent"' not in page.content()
    now += FRESH_SECONDS
    assert b'alerts_deliveries_total{result="sent"} 7.0' in page.content()
    loop.status = Status("test", 6.0)
    assert b"alerts_last_evaluation_timestamp_seconds 6.0" in page.content()
