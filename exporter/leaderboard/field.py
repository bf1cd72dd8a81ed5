"""The swarm in a few numbers, whatever its size: round, stage, active peers, distribution of rewards; pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from prometheus_client import Metric as Family
from prometheus_client.registry import Collector

from exporter.leaderboard.board import Board
from exporter.metrics import Metric, Sample
from trainer.protocol import RoundAndStage

# A peer writes its reward with each step or stage; the slowest step known takes twelve minutes.
ACTIVE_SECONDS = 3600.0

# Shares of the peers that earned less, by the name of the value between them and the rest.
STATISTICS = {"lowest": 0.0, "lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75, "highest": 1.0}

METRICS: tuple[Metric, ...] = (
    Metric("leaderboard_round", "gauge", "Current round of the swarm."),
    Metric("leaderboard_stage", "gauge", "Current stage of the swarm within the round."),
    Metric("leaderboard_active_peers", "gauge", "Peers that wrote a reward within the last hour."),
    Metric("leaderboard_joins_total", "counter", "Peers that began to write rewards, or began again after an hour."),
    Metric("leaderboard_leaves_total", "counter", "Peers that wrote no reward for an hour."),
    Metric(
        "leaderboard_stage_reward",
        "gauge",
        "Distribution of the newest stage's rewards.",
        ("statistic",),
    ),
    Metric(
        "leaderboard_cumulative_reward",
        "gauge",
        "Distribution of cumulative rewards.",
        ("statistic",),
    ),
)


class Field(Collector):
    """What was measured at the last poll; nothing before the first."""

    def __init__(self) -> None:
        self._active: frozenset[str] | None = None
        self._joins = self._leaves = 0
        self._samples: tuple[Sample, ...] = ()

    def update(self, board: Board, place: RoundAndStage | None, now: float) -> None:
        """Measures the board as it is at unix time `now`."""
        active = frozenset(active_peers(board, now))
        if self._active is not None:
            self._joins += len(active - self._active)
            self._leaves += len(self._active - active)
        self._active = active
        cumulative = [entry.peer.cumulative for entry in board.ranking()]
        self._samples = (
            *_place(place),
            Sample("leaderboard_active_peers", {}, len(active)),
            Sample("leaderboard_joins_total", {}, self._joins),
            Sample("leaderboard_leaves_total", {}, self._leaves),
            *_spread("leaderboard_stage_reward", [reward for reward, _ in board.stage_scores(place)]),
            *_spread("leaderboard_cumulative_reward", cumulative),
        )

    def collect(self) -> Iterator[Family]:
        samples = self._samples
        for metric in METRICS:
            family = Family(metric.name.removesuffix("_total"), metric.help, metric.kind)
            for name, labels, value in samples:
                if name == metric.name:
                    family.add_sample(name, dict(labels), value)
            if family.samples:
                yield family


def active_peers(board: Board, now: float) -> Iterator[str]:
    """Peers that wrote a reward within the last hour."""
    return (peer_id for peer_id, peer in board.peers.items() if now - peer.last_seen <= ACTIVE_SECONDS)


def spread(descending: Sequence[float]) -> Mapping[str, float]:
    """Values of the list at the shares that `STATISTICS` names; nothing of an empty list."""
    last = len(descending) - 1
    return {name: descending[round((1 - share) * last)] for name, share in STATISTICS.items()} if descending else {}


def _place(place: RoundAndStage | None) -> Collection[Sample]:
    if place is None:
        return ()
    return (Sample("leaderboard_round", {}, place.round), Sample("leaderboard_stage", {}, place.stage))


def _spread(name: str, descending: Sequence[float]) -> Iterable[Sample]:
    return (Sample(name, {"statistic": statistic}, value) for statistic, value in spread(descending).items())
