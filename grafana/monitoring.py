"""The health of the monitoring itself, as a section of a dashboard."""

from grafana.frame import PanelBuilder
from grafana.panels import NONE_IS_BAD, About, Column, Query, Style, graph, rows
from grafana.series import of_peers, of_services
from grafana.thresholds import bad_from, of_rule


def monitoring() -> list[PanelBuilder]:
    """Collectors, sources, deliveries and targets."""
    source_age = f"time() - {of_peers('swarm_source_success_timestamp_seconds')}"
    evaluated = f"time() - {of_services('alerts_last_evaluation_timestamp_seconds')}"
    return [
        graph(
            About(
                "Collectors",
                "1 if the collector succeeds on every selected peer.",
                "short",
                "peer",
                NONE_IS_BAD,
                (0, 1),
                0,
            ),
            Query(f"min by (collector) ({of_peers('sidecar_collector_success')})", "{{collector}}"),
            style=Style(is_stepped=True),
        ),
        graph(
            About(
                "Duration of collectors",
                "The longest run of each collector over the selected peers.",
                "s",
                "peer",
                limits=(0, None),
            ),
            Query(f"max by (collector) ({of_peers('sidecar_collector_duration_seconds')})", "{{collector}}"),
        ),
        graph(
            About(
                "Sources",
                "1 if the source of rank and reward responds; the last values are kept if it does not.",
                "short",
                "swarm",
                NONE_IS_BAD,
                (0, 1),
                0,
            ),
            Query(of_peers("swarm_source_up"), "{{peer}} {{source}}"),
            style=Style(is_stepped=True),
        ),
        graph(
            About(
                "Age of rank and reward",
                "Time since the source last responded.",
                "s",
                "swarm",
                bad_from(of_rule("SourceDown", "for_")),
                (0, None),
            ),
            Query(source_age, "{{peer}} {{source}}"),
        ),
        graph(
            About(
                "Deliveries",
                "Attempts to deliver notifications, and pushes of machines elsewhere, per minute, by result.",
                "short",
                "fleet",
                limits=(0, None),
            ),
            Query(
                f"60 * sum by (result) (rate({of_services('alerts_deliveries_total')}[$__rate_interval]))", "{{result}}"
            ),
            Query(
                f"60 * sum by (machine, result) (rate({of_services('alerts_pushes_total')}[$__rate_interval]))",
                "{{machine}} push {{result}}",
            ),
        ),
        graph(
            About(
                "Pending notifications",
                "Notifications not delivered yet; databases that cannot be written, and damaged ones set aside; 1 for "
                "an alert loop that stands by for another one, which notifies.",
                "short",
                "fleet",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_services("alerts_outbox_pending"), "{{instance}}"),
            Query(of_services("alerts_standby"), "{{instance}} stands by"),
            Query(f"1 - {of_services('alerts_database_writable')}", "{{database}} cannot be written"),
            Query(of_services("alerts_databases_set_aside_total"), "{{database}} damaged and set aside"),
        ),
        graph(
            About(
                "Age of the last evaluation",
                "Time since the alert loop last evaluated its rules.",
                "s",
                "fleet",
                bad_from(60),
                (0, None),
            ),
            Query(evaluated, "{{instance}}"),
        ),
        graph(
            About(
                "Targets",
                "1 if Prometheus can scrape the sidecar, alert loop or leaderboard.",
                "short",
                "peer",
                NONE_IS_BAD,
                (0, 1),
                0,
            ),
            Query(of_services("up"), "{{peer}}{{service}}"),
            style=Style(is_stepped=True),
        ),
        graph(
            About(
                "Restarts by rules",
                "1 for the phase of the last restart requested by a rule with `restart: true`.",
                "short",
                "fleet",
                limits=(0, 1),
                decimals=0,
            ),
            Query(of_services("alerts_restart_phase"), "{{peer}} {{phase}}"),
            span=24,
            height=6,
            style=Style(is_stepped=True),
        ),
        rows(
            About("Versions", "The version of each peer's sidecar.", "short", "peer"),
            [Column("", f"max by (fleet, peer, version) ({of_peers('sidecar_build_info')})")],
            height=6,
        ),
    ]
