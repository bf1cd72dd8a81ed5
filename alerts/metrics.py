"""Every metric of the alert loop and its host: the table that collectors, rules and dashboards share."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from prometheus_client import Metric as Family


class Metric(NamedTuple):
    """A metric as the text format shows it: `name` is the series name, with `_total` for a counter."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()


HOST: tuple[Metric, ...] = (
    Metric("host_memory_total_bytes", "gauge", "Memory of this machine that programs here may use."),
    Metric("host_memory_available_bytes", "gauge", "Memory that programs can get without swapping."),
    Metric("host_memory_limit_bytes", "gauge", "Limit of the container or slice, where it has less than the machine."),
    Metric("host_memory_pressure_level", "gauge", "Memory pressure on macOS: 1 normal, 2 warning, 4 critical."),
    Metric(
        "host_memory_pressure_ratio",
        "gauge",
        "Share of the last minute in which some or all programs waited for memory.",
        ("kind",),
    ),
    Metric("host_swap_used_bytes", "gauge", "Swap in use."),
    Metric("host_swap_total_bytes", "gauge", "Swap that programs here may use."),
    Metric("host_cpu_cores", "gauge", "Processors that the system sees."),
    Metric("host_cpu_seconds_total", "counter", "Processor time by use, over all processors.", ("mode",)),
    Metric("host_disk_free_bytes", "gauge", "Free space of the disk that holds the path.", ("path",)),
    Metric("host_disk_total_bytes", "gauge", "Size of the disk that holds the path.", ("path",)),
)

LOOP: tuple[Metric, ...] = (
    Metric("alerts_firing", "gauge", "Alerts that fire.", ("rule", "severity")),
    Metric(
        "alerts_deliveries_total",
        "counter",
        "Attempts to deliver a notification, and notifications given up, since the start.",
        ("result",),
    ),
    Metric(
        "alerts_restart_phase",
        "gauge",
        "1 for the phase of the restart that a rule asked for: waiting, restarting, helped, useless or idle.",
        ("peer", "phase"),
    ),
    Metric("alerts_outbox_pending", "gauge", "Notifications that wait to be delivered."),
    Metric("alerts_database_writable", "gauge", "Whether the database can be written (1) or not (0).", ("database",)),
    Metric(
        "alerts_databases_set_aside_total",
        "counter",
        "Damaged databases that were set aside since the start.",
        ("database",),
    ),
    Metric("alerts_last_evaluation_timestamp_seconds", "gauge", "When the rules were last evaluated."),
)

ALL: tuple[Metric, ...] = HOST + LOOP

_BY_NAME = {metric.name: metric for metric in ALL}


def family(name: str, values: float | Mapping[tuple[str, ...], float]) -> Family:
    """The metric of that name with one value, or with a value for each tuple of its labels' values.

    Raises KeyError for a name that the table does not hold.
    """
    metric = _BY_NAME[name]
    made = Family(metric.name.removesuffix("_total"), metric.help, metric.kind)
    samples = values if isinstance(values, Mapping) else {(): values}
    for labels, value in samples.items():
        made.add_sample(metric.name, dict(zip(metric.labels, labels, strict=True)), value)
    return made
