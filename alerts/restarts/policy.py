"""When a peer is restarted, and when that is given up: the state machine of one peer. Pure."""

from dataclasses import replace
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from alerts.durations import Duration
from alerts.restart_record import Record, RestartOutcome

DAY_SECONDS = 86400.0
# Two measurements of one start may differ by this much.
SAME_START_SECONDS = 2.5


class RestartPolicy(BaseModel):
    """Limits and waits of restarts; each rule's `restart` says whether it requests them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    daily_limit: int = Field(default=3, ge=1, le=48, description="restarts of one peer within 24 hours")
    back_off: Duration = Field(default=1800.0, description="least time between two restarts, doubled by each")
    again_within: Duration = Field(default=6 * 3600.0, description="a rule that fires again within it was not helped")
    wait_at_most: Duration = Field(default=900.0, description="how long to wait for the next checkpoint")
    settle: Duration = Field(default=900.0, description="by then the peer must train, and its alert have ended")


class RestartRequest(NamedTuple):
    """An alert that requests a restart of its peer. A stalled peer cannot wait: it reaches no checkpoint."""

    rule: str
    summary: str
    can_wait: bool


class Facts(NamedTuple):
    """What is measured of a peer now; None where it was not. Times are epoch seconds."""

    started: float | None = None
    last_step: float | None = None
    saved_at: float | None = None
    memory_bytes: float | None = None


def step(
    record: Record,
    request: RestartRequest | None,
    facts: Facts,
    now: float,
    policy: RestartPolicy,
    *,
    is_other_restarting: bool,
) -> tuple[Record, bool]:
    """The next record, and whether the peer is to be restarted now."""
    # A time in the future was written before the clock was set back, and counts as now.
    record = replace(record, past=tuple(min(at, now) for at in record.past if at > now - DAY_SECONDS))
    if record.phase == "restarting":
        return _follow(record, request, facts, now, policy), False
    if request is None:
        return (record if record.phase in ("idle", "helped") else replace(record, phase="idle", since=now)), False
    if record.phase == "useless":
        return record, False
    if record.phase in ("idle", "helped"):
        record = _consider(record, request, now, policy)
    if record.phase != "waiting" or is_other_restarting or not _is_due(record, request, facts, now, policy):
        return record, False
    return (
        replace(
            record,
            phase="restarting",
            since=now,
            rule=request.rule,
            summary=request.summary,
            past=(*record.past, now),
            started=facts.started,
            memory_bytes=facts.memory_bytes,
            waited_seconds=max(0.0, now - record.since),
        ),
        True,
    )


def _consider(record: Record, request: RestartRequest, now: float, policy: RestartPolicy) -> Record:
    past = record.past
    if past and record.rule == request.rule and now - past[-1] < policy.again_within:
        return _give_up(record, request, now, "same reason")
    if len(past) >= policy.daily_limit:
        return _give_up(record, request, now, "daily limit")
    if past and now - past[-1] < policy.back_off * 2.0 ** (len(past) - 1):
        return record
    return replace(record, phase="waiting", since=now)


def _give_up(record: Record, request: RestartRequest, now: float, why: RestartOutcome) -> Record:
    since_last = now - record.past[-1]
    given_up = replace(record, phase="useless", since=now, rule=request.rule, summary=request.summary)
    return replace(given_up, outcome=why, outcome_seconds=since_last)


def _is_due(record: Record, request: RestartRequest, facts: Facts, now: float, policy: RestartPolicy) -> bool:
    """After a checkpoint nothing is trained twice; a peer that cannot wait, or waited too long, is restarted anyway."""
    is_saved = facts.saved_at is not None and facts.saved_at >= record.since
    return is_saved or not request.can_wait or now - record.since >= policy.wait_at_most


def _follow(record: Record, request: RestartRequest | None, facts: Facts, now: float, policy: RestartPolicy) -> Record:
    """Whether the restart has helped: another process trains, and the alert that requested it has ended."""
    seconds = max(0.0, now - record.since)
    started = facts.started
    is_another = started is not None and (record.started is None or abs(started - record.started) > SAME_START_SECONDS)
    trains = is_another and facts.last_step is not None and started is not None and facts.last_step > started
    still_fires = request is not None and request.rule == record.rule
    ended = replace(record, since=now, outcome_seconds=seconds)
    if trains and not still_fires:
        return replace(ended, phase="helped", outcome="trains", memory_after=facts.memory_bytes)
    if seconds < policy.settle:
        return record
    return replace(ended, phase="useless", outcome="still fires" if trains else "does not train")
