"""The leaderboard's own health, as a section of a dashboard."""

from grafana.frame import PanelBuilder
from grafana.panels import ANY_IS_BAD, About, Query, Style, graph
from grafana.series import of_services
from grafana.thresholds import bad_from, of_rule


def leaderboard() -> list[PanelBuilder]:
    """Polls, rejected records, and the database."""
    polled = f"time() - {of_services('leaderboard_last_poll_timestamp_seconds')}"
    return [
        graph(
            About(
                "Age of the board",
                "Time since the swarm's DHT was last read.",
                "s",
                "fleet",
                bad_from(of_rule("SourceDown", "for_")),
                (0, None),
            ),
            Query(polled, "{{instance}}"),
        ),
        graph(
            About("Duration of a poll", "How long the last poll of the DHT took.", "s", "fleet", limits=(0, None)),
            Query(of_services("leaderboard_poll_duration_seconds"), "{{instance}}"),
        ),
        graph(
            About(
                "Polls",
                "Polls per minute, failed polls, boards that could not be stored, and damaged databases; 1 while the "
                "swarm cannot be read.",
                "short",
                "fleet",
                limits=(0, None),
            ),
            Query(_per_minute("leaderboard_polls_total"), "polls"),
            Query(_per_minute("leaderboard_poll_failures_total"), "failed"),
            Query(_per_minute("leaderboard_store_failures_total"), "not stored"),
            Query(_per_minute("leaderboard_databases_set_aside_total"), "damaged and set aside"),
            Query(f"1 - {of_services('leaderboard_poll_success')}", "{{instance}} cannot be read"),
        ),
        graph(
            About(
                "Rejected records",
                "Reward records rejected per minute, by reason.",
                "short",
                "fleet",
                limits=(0, None),
            ),
            Query(
                f"60 * sum by (reason) (rate({of_services('leaderboard_rejected_records_total')}[$__rate_interval]))",
                "{{reason}}",
            ),
        ),
        graph(
            About(
                "DHT nodes",
                "Nodes of the DHT that the leaderboard knows.",
                "short",
                "fleet",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_services("leaderboard_dht_nodes"), "{{instance}}"),
            style=Style(is_stepped=True),
        ),
        graph(
            About(
                "Database",
                "Size of the leaderboard's database and its log.",
                "bytes",
                "fleet",
                limits=(0, None),
            ),
            Query(of_services("leaderboard_database_size_bytes"), "{{instance}}"),
        ),
        graph(
            About(
                "Epochs",
                "How many times the swarm's rounds restarted; totals are kept.",
                "short",
                "fleet",
                ANY_IS_BAD,
                (0, None),
                0,
            ),
            Query(of_services("leaderboard_epoch"), "{{instance}}"),
            style=Style(is_stepped=True),
            span=24,
        ),
    ]


def _per_minute(name: str) -> str:
    return f"60 * sum(rate({of_services(name)}[$__rate_interval]))"
