"""The table of the alert loop's metrics."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from alerts.metrics import ALL, family


def test_a_family_carries_the_tables_help_kind_and_labels() -> None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page())
    assert generate_latest(registry).decode() == (
        "# HELP host_cpu_seconds_total Processor time by use, over all processors.\n"
        "# TYPE host_cpu_seconds_total counter\n"
        'host_cpu_seconds_total{mode="idle"} 3.0\n'
        "# HELP host_swap_used_bytes Swap in use.\n"
        "# TYPE host_swap_used_bytes gauge\n"
        "host_swap_used_bytes 5.0\n"
    )


class _Page:
    def collect(self):  # type: ignore[no-untyped-def]
        return [family("host_cpu_seconds_total", {("idle",): 3.0}), family("host_swap_used_bytes", 5.0)]


def test_a_name_outside_the_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        family("host_luck", 1.0)


def test_labels_must_be_the_tables() -> None:
    with pytest.raises(ValueError, match="zip"):
        family("host_cpu_seconds_total", 1.0)


def test_no_name_stands_twice() -> None:
    assert len({metric.name for metric in ALL}) == len(ALL)
