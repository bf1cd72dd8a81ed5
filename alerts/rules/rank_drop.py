"""The peer has lost places on the swarm's cumulative board.

The rank is compared with the best one that the peer kept for `held_for` within `window`: ranks on a board that is still
filling, or of two peers that pass each other all the time, do not count. The drop counts once `polls` polls agree on
it, and is over once as many agree that it is gone: because the rank came back, or because the better rank is older than
`window`, which makes the present one the new normal. A board that could not be read, that is short, or that has shrunk
to less than half is no poll; one whose sums went backwards was restarted and is compared with nothing before it. In a
swarm smaller than `positions` a fall to the last place is a drop.

What to do: compare this peer's reward and step rate with the others' on the dashboard; search the trainer's log for
failed publishing; a peer that trains but earns nothing may be training alone.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.scraping.page import Page

SOURCE = "leaderboard"
MAX_RUNS = 500
# A run of equal ranks, kept as [rank, ranked peers, polls, time of the first poll, time of the last].
Run = list[float]


class Settings(RuleSettings):
    """Thresholds of RankDrop."""

    severity: Severity = "warning"
    positions: int = Field(default=3, ge=1, description="places lost that count as a drop")
    polls: int = Field(default=3, ge=1, le=100, description="polls that must agree")
    held_for: Duration = Field(default=600.0, description="how long a rank must have been kept to count")
    window: Duration = Field(default=6 * 3600.0, description="how old the better rank may be")
    min_ranked_peers: int = Field(default=2, ge=2, description="shorter boards are ignored")


def remember(view: View, settings: Settings) -> Memory:
    """The ranks of the window as runs, the time of the last poll and the peer's sum at that poll."""
    runs: list[Run] = [run for run in view.memory.get("runs", []) if run[4] > view.now - settings.window]
    memory = {**view.memory, "runs": runs}
    page = view.page
    if page is None or page.value("swarm_source_up", source=SOURCE) == 0:
        return memory
    rank, ranked = page.value("swarm_established_rank"), page.value("swarm_established_peers")
    if rank is None or ranked is None:
        rank, ranked = page.value("swarm_rank"), page.value("swarm_ranked_peers")
    polled_at = page.value("swarm_source_success_timestamp_seconds", source=SOURCE) or view.now
    if rank is None or ranked is None or polled_at == view.memory.get("polled_at"):
        return memory
    if ranked < settings.min_ranked_peers or ranked < max((run[1] for run in runs), default=0) / 2:
        return memory
    if _sum_went_backwards(page, view.memory):
        runs = []
    if runs and runs[-1][0] == rank:
        last = runs[-1]
        runs = [*runs[:-1], [rank, max(ranked, last[1]), last[2] + 1, last[3], view.now]]
    else:
        runs = [*runs, [rank, ranked, 1, view.now, view.now]]
    return {
        "runs": runs[-MAX_RUNS:],
        "polled_at": polled_at,
        "cumulative": page.value("swarm_reward_cumulative"),
    }


def judge(view: View, settings: Settings) -> Verdict:
    runs: list[Run] = view.memory.get("runs", [])
    best = _best_kept(runs, settings)
    if view.page is None or best is None:
        return UNKNOWN
    ranked = runs[-1][1]
    drop = min(settings.positions, ranked - 1)
    latest = _latest(runs, settings.polls)
    if min(latest) >= best + drop:
        return active(
            say(
                "Rank {rank:.0f} of {ranked:.0f}, {drop:.0f} below rank {best:.0f} within {window}; limit {limit:.0f}.",
                rank=latest[-1],
                ranked=ranked,
                drop=latest[-1] - best,
                best=best,
                window=Seconds(settings.window),
                limit=drop,
            )
        )
    if max(latest) < best + drop:
        return inactive(
            say(
                "Rank {rank:.0f} of {ranked:.0f}; best rank held within {window}: {best:.0f}.",
                rank=latest[-1],
                ranked=ranked,
                best=best,
                window=Seconds(settings.window),
            )
        )
    return UNKNOWN


def _sum_went_backwards(page: Page, memory: Memory) -> bool:
    """Whether the board was restarted: its sums only grow, so a fall to less than half is no rounding."""
    now, before = page.value("swarm_reward_cumulative"), memory.get("cumulative")
    return now is not None and before is not None and now < before / 2


def _best_kept(runs: list[Run], settings: Settings) -> float | None:
    """The best rank that the peer kept, or bettered, for `held_for`; None where that is not known yet."""
    best: float | None = None
    for begin, first in enumerate(runs):
        worst, polls = 0.0, 0.0
        for run in runs[begin:]:
            worst, polls = max(worst, run[0]), polls + run[2]
            if best is not None and worst >= best:
                break
            if polls >= settings.polls and run[4] - first[3] >= settings.held_for:
                best = worst
                break
    return best


def _latest(runs: list[Run], polls: int) -> list[float]:
    """The ranks of the last polls."""
    return [run[0] for run in runs[-polls:] for _ in range(int(min(run[2], polls)))][-polls:]


RULE = Rule(
    settings=Settings,
    chart="rank",
    judge=judge,
    remember=remember,
    doc=__doc__ or "",
)
