"""The page's rows of peers and of the board. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from alerts.engine.peer_state import SEVERITIES, PeerState, Severity, is_running
from alerts.web.page.sparkline import Curve, Sparkline, draw

DAY_SECONDS = 86400.0
_SHORTEST_SPAN_SECONDS = 600.0
# A peer's curves, by the keys of /api/status.
CURVES = ("steps_per_second", "memory_bytes", "rank", "reward_mean")
Curves = Mapping[str, Mapping[str, Curve]]

# What is told of a peer's learning beside its reward, where the trainer logs it.
LEARNING = ("reward_std", "groups_without_spread", "entropy", "kl", "completion_tokens", "completions_cut_off")
# What a row shows of /api/status; all None before the first scrape.
_VALUES = (
    *("steps_per_second", "last_step_timestamp", "memory_bytes", "memory_limit_bytes", "rank", "ranked_peers"),
    *("reward_mean", "round", "stage"),
    *("registered", "credited_reward", "credited_timestamp"),
    *LEARNING,
)
BOARD_TOP = 10
_NEIGHBOURS = 1


@dataclass(frozen=True)
class PeerRow:
    """One peer; a value that was not measured is None."""

    index: int
    peer: str
    nickname: str
    state: PeerState
    # A style for each.
    severity: Severity
    alerts: Sequence[str]
    values: Mapping[str, Any]
    # Share of the memory limit, 0 to 1.
    memory_share: float | None = None
    # Places gained since the curve's start; a loss is negative.
    places_gained: int = 0
    curves: Mapping[str, Sparkline] = field(default_factory=dict)
    # Where its sidecar runs, and whether its page is pushed from there.
    machine: str = ""
    pushed: bool = False

    @property
    def learning(self) -> list[tuple[str, float]]:
        """What was measured of its learning, by name."""
        return [(name, self.values[name]) for name in LEARNING if self.values[name] is not None]

    @property
    def is_running(self) -> bool:
        return is_running(self.state)


class BoardRow(NamedTuple):
    """One place of the board."""

    place: int
    name: str
    total: float | None
    last: float | None
    is_ours: bool
    is_unverified: bool = False


def span_of(curves: Curves, now: float) -> float:
    """How far back the curves go, seconds: to the oldest point, a day at most."""
    firsts = [curve[0][0] for of_peer in curves.values() for curve in of_peer.values() if curve]
    oldest = min(firsts, default=now)
    return min(max(now - oldest, _SHORTEST_SPAN_SECONDS), DAY_SECONDS)


def peer_rows(
    names: Iterable[str],
    peers: Iterable[Mapping[str, Any]],
    alerts: Iterable[Mapping[str, Any]],
    curves: Curves,
    now: float,
    machines: Mapping[str, str] | None = None,
) -> list[PeerRow]:
    """A row for each configured peer in order; `peers` and `alerts` as in /api/status, `machines` by peer."""
    found = {peer["peer"]: peer for peer in peers}
    severities: dict[str, list[tuple[str, str]]] = {}
    for alert in alerts:
        if alert["state"] == "firing":
            severities.setdefault(alert["peer"], []).append((alert["rule"], alert["severity"]))
    span = span_of(curves, now)
    rows = [
        _row(index, name, found.get(name, {}), severities.get(name, []), curves.get(name, {}), now - span, now)
        for index, name in enumerate(names)
    ]
    pushed = {name for name, peer in found.items() if peer.get("pushed")}
    return [replace(row, machine=(machines or {}).get(row.peer, ""), pushed=row.peer in pushed) for row in rows]


def board_rows(leaders: Sequence[Mapping[str, Any]], ours: frozenset[str]) -> list[BoardRow | None]:
    """The top of the board, and each of our own peers with its neighbours; None where places are left out."""
    own = [place for place, leader in enumerate(leaders) if leader["id"] in ours]
    shown = set(range(min(BOARD_TOP, len(leaders))))
    for place in own:
        shown.update(range(max(0, place - _NEIGHBOURS), min(len(leaders), place + _NEIGHBOURS + 1)))
    rows: list[BoardRow | None] = []
    before = -1
    for place in sorted(shown):
        if place != before + 1:
            rows.append(None)
        leader = leaders[place]
        is_ours = leader["id"] in ours
        is_unverified = not is_ours and bool(leader.get("is_unverified"))
        rows.append(BoardRow(place + 1, leader["nickname"], leader["total"], leader["last"], is_ours, is_unverified))
        before = place
    return rows


def _row(
    index: int,
    name: str,
    peer: Mapping[str, Any],
    alerts: Sequence[tuple[str, str]],
    curves: Mapping[str, Curve],
    begin: float,
    now: float,
) -> PeerRow:
    used, limit = peer.get("memory_bytes"), peer.get("memory_limit_bytes")
    state: PeerState = peer.get("state", "unknown")
    nickname = peer.get("nickname") or ""
    drawn = {which: draw(curves[which], begin, now, is_lower_better=which == "rank") for which in curves}
    return PeerRow(
        index,
        name,
        nickname if nickname != name else "",
        state,
        _severity(state, [severity for _, severity in alerts]),
        [rule for rule, _ in alerts],
        {name: peer.get(name) for name in _VALUES},
        memory_share=min(used / limit, 1.0) if used is not None and limit else None,
        places_gained=_places_gained(peer.get("rank"), curves.get("rank", ()), begin),
        curves={which: curve for which, curve in drawn.items() if curve is not None},
    )


def _severity(state: PeerState, alerts: Sequence[str]) -> Severity:
    """How much attention a row asks for, by its state and the severities of its firing alerts."""
    of_state = SEVERITIES[state]
    if of_state == "bad" or "critical" in alerts:
        return "bad"
    if alerts:
        return "warn" if "warning" in alerts else "calm"
    return of_state


def _places_gained(rank: int | None, curve: Curve, begin: float) -> int:
    first = next((value for at, value in curve if at >= begin), None)
    return round(first - rank) if rank is not None and first is not None else 0
