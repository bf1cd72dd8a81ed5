"""Swarm: our peers against the field, and the leaderboard's own health."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.frame import PanelBuilder, Section, make
from grafana.leaderboard import leaderboard
from grafana.panels import About, Column, Query, Style, graph, number, rows
from grafana.series import of_peers, of_services
from grafana.thresholds import ROUND_LAG

_FIELD = Style(dashed=["field .*"], band=("field upper_quartile", "field lower_quartile"))


def build() -> Dashboard:
    """Board, ranks, rewards, progress, joins and leaves."""
    sections = [
        Section("Now", [*_numbers(), _board()]),
        Section("Against the field", _against_field()),
        Section("Progress", _progress()),
        Section("Participation", _participation()),
        Section("The leaderboard", leaderboard(), is_collapsed=True),
    ]
    return make("swarm", "Our peers against the rest of the swarm, from the cumulative board.", sections)


def _latest(name: str) -> str:
    return f"max({of_services(name)})"


def _numbers() -> list[PanelBuilder]:
    shown = {
        "leaderboard_round": ("Round", "Round that the swarm is in."),
        "leaderboard_stage": ("Stage", "Stage of the round that the swarm is in."),
        "leaderboard_active_peers": ("Active peers", "Peers that wrote a reward within the last hour."),
        "leaderboard_peers": ("Peers on the board", "Peers that have ever earned a reward."),
    }
    counts = [
        number(About(title, description, "short", "fleet"), Query(_latest(name), title))
        for name, (title, description) in shown.items()
    ]
    return [
        *counts,
        number(
            About("Our best rank", "The best rank of a selected peer.", "short", "peer"),
            Query(f"min({of_peers('swarm_rank')})", "rank"),
        ),
        number(
            About("Most rounds behind", "Rounds that the slowest selected peer is behind.", "short", "peer", ROUND_LAG),
            Query(f"max({of_peers('swarm_round_lag')})", "rounds"),
        ),
    ]


def _board() -> PanelBuilder:
    about = About("Board", "Rank and reward of our peers, and the gap to the first of all peers.", "short", "peer")
    cumulative = f"max by (fleet, peer) ({of_peers('swarm_reward_cumulative')})"
    first = f"max by (fleet) ({of_services('leaderboard_cumulative_reward', statistic='highest')})"
    return rows(
        about,
        [
            Column("Rank", f"max by (fleet, peer) ({of_peers('swarm_rank')})"),
            Column("Of", f"max by (fleet, peer) ({of_peers('swarm_ranked_peers')})"),
            Column("Cumulative reward", cumulative, decimals=2),
            Column("Behind the first", f"{first} - on (fleet) group_right () {cumulative}", decimals=2),
            Column("Reward of the stage", f"max by (fleet, peer) ({of_peers('swarm_reward_stage')})", decimals=2),
            Column("Rounds behind", f"max by (fleet, peer) ({of_peers('swarm_round_lag')})", steps=ROUND_LAG),
        ],
        height=7,
    )


def _against_field() -> list[PanelBuilder]:
    spread = "The dashed lines are the field: its highest, lowest and median value, the band its middle half."
    return [
        graph(
            About(
                "Rank history",
                "Ranks of our peers, 1 is the best; the dashed line is the last rank of the board.",
                "short",
                "peer",
                limits=(1, None),
                decimals=0,
            ),
            Query(of_peers("swarm_rank")),
            Query(f"max({of_peers('swarm_ranked_peers')})", "field last rank"),
            style=Style(is_stepped=True, dashed=["field .*"]),
        ),
        graph(
            About("Cumulative reward", f"Total reward of our peers. {spread}", "short", "peer"),
            Query(of_peers("swarm_reward_cumulative")),
            Query(of_services("leaderboard_cumulative_reward"), "field {{statistic}}"),
            style=_FIELD,
        ),
        graph(
            About("Reward of the stage", f"Reward of our peers in the stage. {spread}", "short", "peer"),
            Query(of_peers("swarm_reward_stage")),
            Query(of_services("leaderboard_stage_reward"), "field {{statistic}}"),
            style=_FIELD,
        ),
        graph(
            About(
                "Rounds behind",
                "Rounds that each of our peers is behind the swarm.",
                "short",
                "peer",
                ROUND_LAG,
                (0, None),
            ),
            Query(of_peers("swarm_round_lag")),
            style=Style(is_stepped=True),
        ),
    ]


def _progress() -> list[PanelBuilder]:
    return [
        graph(
            About(
                "Round", "Round that each trainer is in; the dashed line is the swarm's.", "short", "peer", decimals=0
            ),
            Query(of_peers("swarm_round")),
            Query(_latest("leaderboard_round"), "field round"),
            style=Style(is_stepped=True, dashed=["field .*"]),
        ),
        graph(
            About(
                "Stage",
                "Stage of its round that each trainer is in; the dashed line is the swarm's.",
                "short",
                "peer",
                decimals=0,
            ),
            Query(of_peers("swarm_stage")),
            Query(_latest("leaderboard_stage"), "field stage"),
            style=Style(is_stepped=True, dashed=["field .*"]),
        ),
    ]


def _participation() -> list[PanelBuilder]:
    joins = f"sum(increase({of_services('leaderboard_joins_total')}[$__rate_interval]))"
    leaves = f"sum(increase({of_services('leaderboard_leaves_total')}[$__rate_interval]))"
    return [
        graph(
            About(
                "Peers",
                "Peers on the board, and those that wrote a reward within the last hour.",
                "short",
                "fleet",
                limits=(0, None),
                decimals=0,
            ),
            Query(_latest("leaderboard_peers"), "on the board"),
            Query(_latest("leaderboard_active_peers"), "active"),
            style=Style(is_stepped=True),
        ),
        graph(
            About(
                "Joins and leaves",
                "Peers that started to write rewards, and peers that wrote none for an hour.",
                "short",
                "fleet",
                limits=(0, None),
            ),
            Query(joins, "joined"),
            Query(leaves, "left"),
        ),
    ]
