"""Every metric of the alert loop and its host: the table that collectors, rules and dashboards share."""

from collections.abc import Mapping

from prometheus_client import Metric as Family

from exporter.metrics import HOST, Metric

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
    Metric(
        "alerts_standby", "gauge", "1 while another watcher notifies in place of this one, which stands by; else 0."
    ),
    Metric("alerts_outbox_pending", "gauge", "Notifications that wait to be delivered."),
    Metric(
        "alerts_pushes_total",
        "counter",
        "Pushes of machines elsewhere since the start, by what became of them; of strangers without a machine.",
        ("machine", "result"),
    ),
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
