"""Whether what watches the peers works, as a section of a dashboard."""

from grafana.frame import PanelBuilder
from grafana.panels import NONE_IS_BAD, About, Column, Look, Query, graph, rows
from grafana.series import of_peers, of_services
from grafana.thresholds import bad_from, of_rule


def watchers() -> list[PanelBuilder]:
    """Collectors, sources, deliveries and targets."""
    source_age = f"time() - {of_peers('swarm_source_success_timestamp_seconds')}"
    evaluated = f"time() - {of_services('alerts_last_evaluation_timestamp_seconds')}"
    return [
        graph(
            About(
                "Collectors that work",
                "1 where a collector of the sidecars succeeds on every chosen peer.",
                "short",
                "peer",
                NONE_IS_BAD,
                (0, 1),
                0,
            ),
            Query(f"min by (collector) ({of_peers('sidecar_collector_success')})", "{{collector}}"),
            look=Look(steps_of_line=True),
        ),
        graph(
            About(
                "Duration of collectors",
                "The slowest run of each collector of the chosen peers.",
                "s",
                "peer",
                limits=(0, None),
            ),
            Query(f"max by (collector) ({of_peers('sidecar_collector_duration_seconds')})", "{{collector}}"),
        ),
        graph(
            About(
                "Sources that answer",
                "1 while the source of rank and reward answers; the last values stay when it does not.",
                "short",
                "swarm",
                NONE_IS_BAD,
                (0, 1),
                0,
            ),
            Query(of_peers("swarm_source_up"), "{{peer}} {{source}}"),
            look=Look(steps_of_line=True),
        ),
        graph(
            About(
                "Age of rank and reward",
                "Time since the source was last read.",
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
                "Attempts to deliver notifications per minute, by result.",
                "short",
                "fleet",
                limits=(0, None),
            ),
            Query(
                f"60 * sum by (result) (rate({of_services('alerts_deliveries_total')}[$__rate_interval]))", "{{result}}"
            ),
        ),
        graph(
            About(
                "Notifications that wait",
                "Notifications that no service has taken yet.",
                "short",
                "fleet",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_services("alerts_outbox_pending"), "{{instance}}"),
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
                "Targets that answer",
                "1 where Prometheus reaches a sidecar, the alert loop or the leaderboard.",
                "short",
                "peer",
                NONE_IS_BAD,
                (0, 1),
                0,
            ),
            Query(of_services("up"), "{{peer}}{{service}}"),
            look=Look(steps_of_line=True),
        ),
        graph(
            About(
                "Restarts by rules",
                "1 for the phase of the last restart that a rule with `restart: true` asked for.",
                "short",
                "fleet",
                limits=(0, 1),
                decimals=0,
            ),
            Query(of_services("alerts_restart_phase"), "{{peer}} {{phase}}"),
            span=24,
            height=6,
            look=Look(steps_of_line=True),
        ),
        rows(
            About("Versions", "The version of each peer's sidecar.", "short", "peer"),
            [Column("", f"max by (fleet, peer, version) ({of_peers('sidecar_build_info')})")],
            height=6,
        ),
    ]
