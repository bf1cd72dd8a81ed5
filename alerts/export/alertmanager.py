"""An Alertmanager configuration with the routes, grouping, quiet hours, reminders and inhibition of the alert loop.

Alertmanager has no escalation: the rule file holds a second alert, with the label `escalation`, that begins once the
first has fired for `after`; routes with `after` match those alerts, all others the first ones.
"""

from collections.abc import Iterator
from typing import Any, get_args

from alerts.config import AlertsConfig
from alerts.delivery.quiet_hours import QuietHours
from alerts.delivery.settings import Route
from alerts.export.prometheus import ESCALATION, dump, escalation_label, promql_duration
from alerts.export.receivers import describe_receiver
from alerts.rules import Rule, Severity, discover

# Alerts that share these labels are of one machine: a host's alert inhibits those of its own peers only.
HOST_LABELS = ["fleet", "host"]
NOBODY = "nobody"
NEVER_SECONDS = 365 * 86400.0
# Alertmanager takes no interval of 0.
SHORTEST_INTERVAL_SECONDS = 0.1
_HEADER = """\
# Made by `peerwatch rules alertmanager`: the routes of Peerwatch for Alertmanager 0.25 or later.
# Use it together with `peerwatch rules prometheus`. What the alert loop has beyond it: acknowledgements (use silences),
# the summary after quiet hours, evidence, the digest, charts, and deliveries that outlive an outage of days.
"""


def render_alertmanager(config: AlertsConfig) -> str:
    """The configuration as YAML with comments; it holds no secret."""
    described: dict[str, Any] = {
        "route": {"receiver": NOBODY, **_timing(config), "routes": list(_find_routes(config))},
        "inhibit_rules": list(_find_inhibitions()),
    }
    quiet = [_describe_quiet(route.name, route.quiet, config) for route in config.routes if route.quiet]
    if quiet:
        described["time_intervals"] = quiet
    return "".join([_HEADER, *_warnings(config), dump(described), "receivers:\n", *_receivers(config)])


def _timing(config: AlertsConfig) -> dict[str, Any]:
    """Grouped by machine: what begins or ends on one is one incident, whatever its rule."""
    return {
        "group_by": HOST_LABELS,
        "group_wait": promql_duration(config.grouping.wait),
        "group_interval": promql_duration(max(config.grouping.interval, SHORTEST_INTERVAL_SECONDS)),
        "repeat_interval": promql_duration(config.reminder or NEVER_SECONDS),
    }


def _warnings(config: AlertsConfig) -> Iterator[str]:
    if not config.reminder:
        yield "# Reminders are off: start Alertmanager with --data.retention=8760h, or it repeats what it forgets.\n"


def _find_routes(config: AlertsConfig) -> Iterator[dict[str, Any]]:
    for route in config.routes:
        if route.watchdog:
            yield _watchdog_route(route, route.watchdog, config)
            continue
        wanted = set(route.severities or get_args(Severity))
        if route.quiet is None:
            yield _route(route, wanted)
            continue
        loud = wanted & set(route.quiet.bypass)
        if loud:
            yield _route(route, loud)
        if wanted - loud:
            yield {**_route(route, wanted - loud), "mute_time_intervals": [_quiet_name(route.name)]}


def _route(route: Route, severities: set[Severity]) -> dict[str, Any]:
    matchers = [f'alertname!~"{"|".join(_heartbeats())}"']
    if severities != set(get_args(Severity)):
        matchers.append(f'severity=~"{"|".join(sorted(severities))}"')
    matchers.append(f'{ESCALATION}="{escalation_label(route.after)}"')
    return {"receiver": route.name, "matchers": matchers, "continue": True}


def _watchdog_route(route: Route, every: float, config: AlertsConfig) -> dict[str, Any]:
    return {
        "receiver": route.name,
        "matchers": [f'alertname=~"{"|".join(_heartbeats())}"'],
        "continue": True,
        "group_wait": "0s",
        # Alertmanager checks once per group_interval whether a repetition is due.
        "group_interval": promql_duration(max(min(config.grouping.interval, every / 10), SHORTEST_INTERVAL_SECONDS)),
        "repeat_interval": promql_duration(every),
    }


def _heartbeats() -> list[str]:
    """The rules that are no problem: they go only to routes with `watchdog`."""
    return [name for name, rule in discover().items() if not rule.is_problem]


def _find_inhibitions() -> Iterator[dict[str, Any]]:
    for name, rule in discover().items():
        if rule.inhibits:
            yield {
                "source_matchers": [f'alertname="{name}"'],
                "target_matchers": [f'alertname=~"{"|".join(rule.inhibits)}"'],
                "equal": _shared_labels(rule),
            }


def _shared_labels(rule: Rule) -> list[str]:
    return HOST_LABELS if rule.scope == "host" else [*HOST_LABELS, "peer"]


def _quiet_name(route: str) -> str:
    return f"quiet hours of {route}"


def _describe_quiet(route: str, quiet: QuietHours, config: AlertsConfig) -> dict[str, Any]:
    begin, end = quiet.from_.strftime("%H:%M"), quiet.to.strftime("%H:%M")
    if begin < end:
        times = [(begin, end)]
    else:
        # Alertmanager's ranges end at midnight.
        times = [(one, other) for one, other in [(begin, "24:00"), ("00:00", end)] if one != other]
    interval = {
        "times": [{"start_time": one, "end_time": other} for one, other in times],
        "location": quiet.timezone or config.timezone or "Local",
    }
    return {"name": _quiet_name(route), "time_intervals": [interval]}


def _receivers(config: AlertsConfig) -> Iterator[str]:
    yield dump([{"name": NOBODY}])
    for route in config.routes:
        receiver = describe_receiver(route)
        for note in receiver.notes:
            yield f"# {route.name}: {note}\n"
        yield dump([{"name": route.name, receiver.section: receiver.entries}])
