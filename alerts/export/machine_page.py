"""The page of a sidecar elsewhere as Prometheus reads it from here: what the rules see of it, times by this clock."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from alerts.scraping.page import Page
from exporter.metrics import find_metric


def render_page(page: Page) -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(page))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, page: Page) -> None:
        self._page = page

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for name, labels, value in self._page.samples():
            metric = find_metric(name)
            # A newer sidecar has some that are not known here.
            title, kind, about = (metric.name, metric.kind, metric.help) if metric else (name, "unknown", "")
            if title not in found:
                found[title] = Metric(title.removesuffix("_total") if metric else title, about, kind)
            found[title].add_sample(name, dict(labels), value)
        yield from found.values()
