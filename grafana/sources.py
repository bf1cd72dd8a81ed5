"""What the swarm's sources say of the peers, one series for each source and contract, as a section of a dashboard."""

from grafana.frame import PanelBuilder
from grafana.panels import About, Column, Query, Style, graph, rows
from grafana.series import of_peers
from grafana.thresholds import bad_from, of_rule

_OF = "{{peer}} {{source}} {{contract}}"


def sources() -> list[PanelBuilder]:
    """Whether rewards count, and how they and the ranks go."""
    return [
        _counting(),
        graph(
            About(
                "Reward by source",
                "Reward over all rounds, on each contract that is read, and of the stage where a source tells that.",
                "short",
                "swarm",
            ),
            Query(of_peers("swarm_source_reward"), _OF),
            Query(of_peers("swarm_source_stage_reward"), f"{_OF} stage"),
            Query(of_peers("swarm_source_score"), f"{_OF} score"),
            style=Style(dashed=[".* stage", ".* score"]),
        ),
        graph(
            About(
                "Time without credit",
                "Time since the reward last changed on a contract where it counts; dashed since the participation did.",
                "s",
                "swarm",
                bad_from(of_rule("RewardNotCounting", "after")),
                (0, None),
            ),
            Query(f"time() - {of_peers('swarm_source_reward_change_timestamp_seconds')}", _OF),
            Query(
                f"time() - {of_peers('swarm_source_participation_change_timestamp_seconds')}", f"{_OF} participation"
            ),
            Query(f"time() - {of_peers('swarm_round_change_timestamp_seconds')}", "{{peer}} round"),
            Query(of_peers("swarm_submit_period_seconds"), "{{peer}} submits every"),
            style=Style(dashed=[".* participation", ".* round", ".* submits every"]),
        ),
        graph(
            About(
                "Wins and participation by source",
                "Votes for the peer as a round's winner, and rounds in which it voted.",
                "short",
                "swarm",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_peers("swarm_source_wins"), f"{_OF} wins"),
            Query(of_peers("swarm_source_participation"), f"{_OF} participation"),
            style=Style(is_stepped=True),
        ),
        graph(
            About(
                "Rank and round by source",
                "Rank of the peer and length of the board, the swarm's round, and rounds behind it.",
                "short",
                "swarm",
                limits=(0, None),
                decimals=0,
            ),
            Query(of_peers("swarm_source_rank"), f"{_OF} rank"),
            Query(of_peers("swarm_source_ranked_peers"), f"{_OF} ranked"),
            Query(of_peers("swarm_source_round"), f"{_OF} round"),
            Query(of_peers("swarm_source_round_lag"), "{{peer}} {{source}} behind"),
            style=Style(is_stepped=True, dashed=[".* ranked", ".* behind"]),
        ),
    ]


def _counting() -> PanelBuilder:
    about = About(
        "Does it count?",
        "Whether each source has the peer, whether its release counts rewards on that contract, and what it has there.",
        "short",
        "swarm",
    )
    by = "max by (fleet, peer, source, contract)"
    last = of_peers("swarm_source_reward_change_timestamp_seconds")
    columns = [
        Column("Listed", f"{by} ({of_peers('swarm_source_listed')})", "bool_yes_no"),
        Column("Counts", f"{by} ({of_peers('swarm_source_counts')})", "bool_yes_no"),
        Column("Reward", f"{by} ({of_peers('swarm_source_reward')})", decimals=0),
        Column("Since the last credit", f"{by} (time() - {last})", "s", decimals=0),
    ]
    return rows(about, columns, height=5)
