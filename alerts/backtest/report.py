"""A backtest as text and as JSON."""

from collections.abc import Iterator
from typing import Any

from alerts.backtest.replay import Backtest, RuleResult
from alerts.durations import describe_duration
from alerts.history.store import Firing
from alerts.messages.single import format_time
from alerts.rules import discover

# The report lists so many firings of a rule; the JSON has all.
_NAMED = 20


def render(test: Backtest) -> str:
    """The report, a line each; ends with a line break."""
    return "\n".join(_lines(test)) + "\n"


def to_json(test: Backtest) -> dict[str, Any]:
    """Everything, times as epoch seconds; `ended_at` is null for what still fires."""
    return {
        "since": test.since,
        "until": test.until,
        "begins": test.begins,
        "thinned_until": test.thinned_until,
        "subjects": test.subjects,
        "looks": test.samples,
        "rules": [
            {
                **one._asdict(),
                "new": [firing._asdict() for firing in one.new],
                "gone": [firing._asdict() for firing in one.gone],
            }
            for one in test.results
        ],
        "not_replayed": {one.rule: one.reason for one in test.missed},
    }


def _lines(test: Backtest) -> Iterator[str]:
    if not test.samples or test.begins is None:
        yield f"No samples since {format_time(test.since)}."
        return
    yield (
        f"{describe_duration(test.until - test.begins)}, {test.subjects} peers and hosts, "
        f"{test.samples} samples since {format_time(test.begins)}."
    )
    if test.thinned_until is not None and test.thinned_until > test.since:
        yield (
            f"Before {format_time(test.thinned_until)} the history is thinned to about one sample per 5 min: "
            "shorter firings may be missing, and times are coarse."
        )
    yield ""
    yield f"{'rule':<22}{'fired':>7}{'duration':>16}{'recorded':>10}{'new':>6}{'gone':>6}"
    missed = {one.rule for one in test.missed}
    for one in test.results:
        if one.rule not in missed or one.recorded:
            yield _row(one)
    changes = [line for one in test.results for line in _changes(one)]
    yield from (["", *changes] if changes else ["", "Same firings as recorded."])
    yield from _notes(test)


def _row(one: RuleResult) -> str:
    lasted = describe_duration(one.seconds) if one.fired else "-"
    numbers = f"{one.recorded or '-':>10}{len(one.new) or '-':>6}{len(one.gone) or '-':>6}"
    return f"{one.rule:<22}{one.fired or '-':>7}{lasted:>16}{numbers}"


def _changes(one: RuleResult) -> Iterator[str]:
    for word, firings in (("new", one.new), ("gone", one.gone)):
        for firing in firings[:_NAMED]:
            yield f"{word}: {_describe(firing)}"
        if len(firings) > _NAMED:
            yield f"{word}: {one.rule}, {len(firings) - _NAMED} more; see --json"


def _describe(firing: Firing) -> str:
    lasted = (
        "still firing" if firing.ended_at is None else f"for {describe_duration(firing.ended_at - firing.fired_at)}"
    )
    return f"{firing.rule}: {firing.subject}, {format_time(firing.fired_at)}, {lasted}. {firing.summary}"


def _notes(test: Backtest) -> Iterator[str]:
    if test.missed:
        yield ""
    for one in test.missed:
        yield f"not replayed: {one.rule}, {one.reason}"
    waiting = [one.rule for one in test.results if discover()[one.rule].remember is not None]
    if waiting and test.begins is not None and test.begins > test.since:
        late = describe_duration(test.begins - test.since)
        yield (f"The history begins {late} after --since; rules that learn had less data: {', '.join(waiting)}.")
