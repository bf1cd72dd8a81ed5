"""Replays the history against the current rules and compares the firings with the recorded ones.

The samples go through the same `evaluate` as the loop's, subject by subject, in their order. With changed rules a
firing may begin up to one interval late, as the loop checks at the exact instant.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from alerts.config import RuleTable
from alerts.engine.evaluate import ActiveRule, AlertStates, Event, evaluate
from alerts.engine.state import Moment
from alerts.history.archive import Archive, read_blocks
from alerts.history.samples import HistorySample, Subject, restore
from alerts.history.store import Firing
from alerts.rules import Rule, Verdict, View, discover
from exporter.system.machine import read_cores

# Rules use at most a day of the past: a replay begins that much earlier, so that their memories are filled.
WARM_UP_SECONDS = 86400.0
# Before the replay, one in so many samples is enough: rules add to their memories every few minutes.
_WARM_UP_STRIDE = 4
# Rules that read what is not in the history, with the reason.
NOT_KEPT = {
    "PeerRestarted": "it reports an action of the loop",
    "RestartUseless": "it reports an action of the loop",
}
_FEW_SUBJECTS = 4


class Replayed(NamedTuple):
    """The result for one subject: the firings, and the rules that had data to judge."""

    subject: Subject
    samples: int
    firings: list[Firing]
    judged: set[str]


class Missed(NamedTuple):
    """A rule that was not replayed, and why."""

    rule: str
    reason: str


class RuleResult(NamedTuple):
    """One rule's firings in the replay and in the history. `seconds` is the total time that it fired."""

    rule: str
    fired: int
    seconds: float
    recorded: int
    new: tuple[Firing, ...]
    gone: tuple[Firing, ...]


class Backtest(NamedTuple):
    """A replay of the time from `since` to `until`. Before `thinned_until` it is coarse; times are epoch seconds."""

    since: float
    until: float
    begins: float | None
    thinned_until: float | None
    subjects: int = 0
    samples: int = 0
    results: tuple[RuleResult, ...] = ()
    missed: tuple[Missed, ...] = ()


def run(path: Path, rules: RuleTable, since: float, until: float, *, slack_seconds: float) -> Iterator[Any]:
    """Yields (done, total) subjects as progress, and the Backtest at the end.

    Firings of one alert within `slack_seconds` of each other are the same. Raises FileNotFoundError without
    a history and FileError where it cannot be read.
    """
    with Archive(path) as archive:
        begins, thinned = archive.begins(), archive.thinned_until()
        subjects = sorted(archive.subjects)
        recorded = [one for one in archive.firings(since) if one.fired_at < until]
    replayed: list[Replayed] = []
    for one in _replay_all(subjects, partial(replay, path, rules, since, until)):
        replayed.append(one)
        yield len(replayed), len(subjects)
    replayed = [one for one in replayed if one.samples]
    known = {one.subject.name for one in replayed}
    results = tuple(
        _compare(rule, replayed, [one for one in recorded if one.subject in known], until, slack_seconds)
        for rule in active_rules(rules)
    )
    missed = tuple(_find_missed(rules, replayed))
    begins = max(begins, since) if begins is not None else None
    samples = sum(one.samples for one in replayed)
    yield Backtest(since, until, begins, thinned, len(replayed), samples, results, missed)


def active_rules(rules: RuleTable) -> dict[str, ActiveRule]:
    """The enabled rules that can be replayed."""
    return {
        name: ActiveRule(name, rule, rules.of(name))
        for name, rule in discover().items()
        if rules.of(name).enabled and rule.is_problem and name not in NOT_KEPT
    }


def replay(path: Path, rules: RuleTable, since: float, until: float, subject: Subject) -> Replayed:
    """Evaluates the rules for one subject between two times."""
    judged: set[str] = set()
    rules_of_scope = [one for one in active_rules(rules).values() if one.rule.scope == subject.scope]
    noted = 0
    watched = _note_verdicts(rules_of_scope, judged)
    alert_states, events, count = AlertStates(), list[Event](), 0
    with Archive(path) as archive:
        for sample in _thin_out(_read_samples(archive, subject, since), since, until):
            moment = Moment(sample.view.now, sample.elapsed_seconds)
            alert_states, more = evaluate((sample.view,), watched, alert_states, moment, reminder_seconds=0.0)
            events += more
            count += sample.view.now >= since
            if len(judged) > noted:
                watched, noted = _note_verdicts(rules_of_scope, judged), len(judged)
    firings = [one for one in _pair(events) if one.ended_at is None or one.ended_at >= since]
    return Replayed(subject, count, firings, judged)


def _replay_all(subjects: Sequence[Subject], work: Any) -> Iterator[Replayed]:
    processes = min(read_cores().count, len(subjects))
    if processes < 2 or len(subjects) < _FEW_SUBJECTS:
        yield from map(work, subjects)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(work, subject) for subject in subjects]):
            yield future.result()


def _read_samples(archive: Archive, subject: Subject, since: float) -> Iterator[HistorySample]:
    number = archive.subjects[subject]
    before: float | None = None
    for _, block in read_blocks(archive.blocks(number, since - WARM_UP_SECONDS)):
        yield from restore(subject, block, archive.series, before)
        before = block.times[-1]
    for block in archive.open_blocks({number}).values():
        yield from restore(subject, block, archive.series, before)


def _thin_out(samples: Iterable[HistorySample], since: float, until: float) -> Iterator[HistorySample]:
    """All samples from `since` on and some of those before, each with the time since the last one that is kept."""
    skipped, elapsed = 0, 0.0
    for sample in samples:
        elapsed += sample.elapsed_seconds
        skipped += 1
        if sample.view.now > until or (sample.view.now < since and skipped < _WARM_UP_STRIDE):
            continue
        yield sample._replace(elapsed_seconds=elapsed)
        skipped, elapsed = 0, 0.0


def _note_verdicts(rules: Iterable[ActiveRule], judged: set[str]) -> list[ActiveRule]:
    """The rules; those without a verdict so far add themselves to `judged` once they have one."""
    return [one if one.name in judged else one._replace(rule=_noting(one.name, one.rule, judged)) for one in rules]


def _noting(name: str, rule: Rule, judged: set[str]) -> Rule:
    def judge(view: View, settings: Any, /) -> Verdict:
        verdict = rule.judge(view, settings)
        if verdict.condition != "unknown":
            judged.add(name)
        return verdict

    return replace(rule, judge=judge)


def _pair(events: Iterable[Event]) -> list[Firing]:
    """The firings of firing and resolved events."""
    begun: dict[tuple[str, str], Event] = {}
    firings = []
    for event in events:
        if event.kind == "firing":
            begun[event.key] = event
        elif event.kind == "resolved" and event.key in begun:
            firings.append(_firing(begun.pop(event.key), event.at))
    return firings + [_firing(event, None) for event in begun.values()]


def _firing(event: Event, ended_at: float | None) -> Firing:
    return Firing(event.key.rule, event.key.peer, event.severity, event.summary, event.at, ended_at)


def _compare(
    rule: str, replayed: Iterable[Replayed], recorded: Iterable[Firing], until: float, slack: float
) -> RuleResult:
    now = sorted((one for part in replayed for one in part.firings if one.rule == rule), key=lambda one: one.fired_at)
    then = [one for one in recorded if one.rule == rule]
    return RuleResult(
        rule,
        len(now),
        sum((until if one.ended_at is None else one.ended_at) - one.fired_at for one in now),
        len(then),
        tuple(one for one in now if not any(_is_same(one, other, slack) for other in then)),
        tuple(one for one in then if not any(_is_same(one, other, slack) for other in now)),
    )


def _is_same(one: Firing, other: Firing, slack: float) -> bool:
    """Whether two firings of a rule are about the same subject and time."""
    ends = [float("inf") if firing.ended_at is None else firing.ended_at + slack for firing in (one, other)]
    return one.subject == other.subject and one.fired_at <= ends[1] and other.fired_at <= ends[0]


def _find_missed(rules: RuleTable, replayed: Sequence[Replayed]) -> Iterator[Missed]:
    for name, reason in NOT_KEPT.items():
        if name in discover() and rules.of(name).enabled:
            yield Missed(name, reason)
    judged = {rule for one in replayed for rule in one.judged}
    for name in active_rules(rules):
        if name not in judged:
            yield Missed(name, "no data for it was recorded")
