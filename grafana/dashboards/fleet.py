"""Fleet: every peer at a glance, firing alerts, the machine, and the monitoring itself."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.frame import PanelBuilder, Section, make
from grafana.machine import machine
from grafana.monitoring import monitoring
from grafana.panels import (
    ANY_IS_BAD,
    NONE_IS_BAD,
    About,
    Column,
    Query,
    Style,
    graph,
    number,
    rows,
    timeline,
)
from grafana.resources import MEMORY_USE
from grafana.series import of_alerts, of_peers, of_services, starts_of_alerts
from grafana.states import STATE_STEPS, state
from grafana.thresholds import MEMORY_SHARE, ROUND_LAG


def build() -> Dashboard:
    """One row per peer: state, pace, memory, rank, reward; and the alerts."""
    sections = [
        Section("Now", _numbers()),
        Section("Peers", [_states(), _peers(), *_graphs()]),
        Section("Alerts", _alerts()),
        Section("The machine", machine(), is_collapsed=True),
        Section("Monitoring", monitoring(), is_collapsed=True),
    ]
    return make("fleet", "Every peer of the fleet: state, pace, memory, rank and reward, and firing alerts.", sections)


def _by_peer(expression: str) -> str:
    return f"max by (fleet, peer) ({expression})"


def _numbers() -> list[PanelBuilder]:
    firing = [
        Query(f"sum({of_services('alerts_firing', severity=severity)}) or vector(0)", severity)
        for severity in ("critical", "warning")
    ]
    return [
        number(
            About(
                "Peers running",
                "Trainers whose process runs, of those with a sidecar.",
                "short",
                "peer",
                NONE_IS_BAD,
            ),
            Query(f"sum({of_peers('trainer_up')})", "running"),
            Query(f"count({of_peers('trainer_up')})", "monitored"),
        ),
        number(
            About("Alerts firing", "Alerts firing in the alert loop, by severity.", "short", "peer", ANY_IS_BAD),
            *firing,
        ),
        number(
            About("Steps per second", "Optimizer steps of all selected peers together.", "short", "peer", decimals=2),
            Query(f"sum({of_peers('trainer_steps_per_second')})", "steps/s"),
        ),
        number(
            About(
                "Fullest peer",
                "The highest memory footprint as a share of its peer's limit.",
                "percentunit",
                "peer",
                MEMORY_SHARE,
            ),
            Query(f"max({MEMORY_USE})", "memory"),
        ),
        number(
            About("Best rank", "The best rank of a selected peer on the swarm's cumulative board.", "short", "swarm"),
            Query(f"min({of_peers('swarm_rank')})", "rank"),
        ),
        number(
            About(
                "Most rounds behind",
                "Rounds that the slowest selected peer is behind the swarm.",
                "short",
                "swarm",
                ROUND_LAG,
            ),
            Query(f"max({of_peers('swarm_round_lag')})", "rounds"),
        ),
    ]


def _states() -> PanelBuilder:
    about = About(
        "State",
        "The phase of each trainer, down if its process is gone; a gap if its sidecar does not answer.",
        "short",
        "peer",
        steps=STATE_STEPS,
    )
    return timeline(about, Query(state()))


def _peers() -> PanelBuilder:
    about = About("Peers", "The latest values of each peer; its name links to its own dashboard.", "short", "peer")
    age = f"time() - {of_peers('trainer_last_step_timestamp_seconds')}"
    return rows(
        about,
        [
            Column("State", state(), is_state=True),
            Column("Steps/s", _by_peer(of_peers("trainer_steps_per_second")), decimals=2),
            Column("Last step ago", _by_peer(age), "s", decimals=0),
            Column("Memory", _by_peer(of_peers("trainer_memory_bytes", kind="footprint")), "bytes"),
            Column("Of its limit", _by_peer(MEMORY_USE), "percentunit", MEMORY_SHARE, is_gauge=True),
            Column("Rank", _by_peer(of_peers("swarm_rank"))),
            Column("Of", _by_peer(of_peers("swarm_ranked_peers"))),
            Column("Reward", _by_peer(of_peers("trainer_reward_mean")), decimals=3),
            Column("Round", _by_peer(of_peers("swarm_round"))),
            Column("Behind", _by_peer(of_peers("swarm_round_lag")), steps=ROUND_LAG),
        ],
        height=9,
    )


def _graphs() -> list[PanelBuilder]:
    return [
        graph(
            About(
                "Steps per second",
                "Step rate of each peer over the last minutes; 0 when steps stop.",
                "short",
                "peer",
                limits=(0, None),
            ),
            Query(of_peers("trainer_steps_per_second")),
        ),
        graph(
            About(
                "Memory against its limit",
                "Footprint of the process tree as a share of the peer's limit.",
                "percentunit",
                "peer",
                MEMORY_SHARE,
                (0, None),
            ),
            Query(MEMORY_USE),
        ),
        graph(
            About(
                "Rank",
                "Rank on the swarm's cumulative board; 1 is the best.",
                "short",
                "swarm",
                limits=(1, None),
                decimals=0,
            ),
            Query(of_peers("swarm_rank")),
            style=Style(is_stepped=True),
        ),
        graph(
            About("Reward", "Mean reward of each trainer's last logged step.", "short", "peer"),
            Query(of_peers("trainer_reward_mean")),
        ),
    ]


def _alerts() -> list[PanelBuilder]:
    of = "alertname, severity, fleet, peer"
    return [
        rows(
            About(
                "Firing",
                "Alerts of Peerwatch's rules firing in Prometheus, and since when.",
                "short",
                "peer",
                ANY_IS_BAD,
            ),
            [
                Column(
                    "Since",
                    f"max by ({of}) ({starts_of_alerts()} and ignoring (alertstate) {of_alerts()}) * 1000",
                    "dateTimeFromNow",
                )
            ],
            span=12,
        ),
        graph(
            About(
                "Firing in the alert loop",
                "Alerts firing in the alert loop, by rule.",
                "short",
                "peer",
                limits=(0, None),
                decimals=0,
            ),
            Query(f"sum by (rule) ({of_services('alerts_firing')})", "{{rule}}"),
            style=Style(is_stacked=True, is_stepped=True),
        ),
    ]
