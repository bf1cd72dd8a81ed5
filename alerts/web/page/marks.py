"""What happened to a peer, as marks on the time axis of its charts: alerts, restarts, checkpoints. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from alerts.history.query import Series
from alerts.history.store import Firing
from alerts.web.page.chart import HEIGHT, WIDTH, Axis, Values

Kind = Literal["alert", "restart", "checkpoint"]

# A start's time may be read with an error, as where a virtual machine's clock is set.
_SAME_START_SECONDS = 5.0
_LEAST_WIDTH = 2
_TICK_HEIGHT = 12
MAX_LISTED = 50


class Mark(NamedTuple):
    """Something from `begin` to `end`, epoch seconds; `text` and `severity` are an alert's."""

    kind: Kind
    begin: float
    end: float
    rule: str = ""
    text: str = ""
    severity: str = ""
    is_over: bool = True


@dataclass(frozen=True)
class DrawnMarks:
    """Paths by style: alerts by severity, restarts and checkpoints; how many of each there are, and the latest."""

    paths: Mapping[str, str]
    listed: Sequence[Mark]
    alerts: int
    restarts: int
    checkpoints: int

    @property
    def unlisted(self) -> int:
        """How many alerts and restarts are not listed."""
        return self.alerts + self.restarts - len(self.listed)


def find_marks(series: Series, peer: str, firings: Iterable[Firing], axis: Axis) -> list[Mark]:
    """All marks within the axis, the earliest first."""
    columns = series.values[peer]
    alerts = [
        Mark("alert", one.fired_at, one.ended_at or axis.now, one.rule, one.summary, one.severity, bool(one.ended_at))
        for one in firings
        if one.subject == peer and one.fired_at <= axis.now and (one.ended_at is None or one.ended_at >= axis.begin)
    ]
    restarts = [Mark("restart", at, at) for at in _starts(columns["start_timestamp"], axis)]
    saved = [Mark("checkpoint", at, at) for at in _checkpoints(series, columns["saving_seconds_total"])]
    return sorted([*alerts, *restarts, *saved], key=lambda mark: mark.begin)


def draw_marks(marks: Sequence[Mark], axis: Axis) -> DrawnMarks:
    """The marks as paths; what lies on the same spot is drawn once."""
    spans: dict[str, set[tuple[int, int]]] = {}
    for mark in marks:
        style = mark.severity if mark.kind == "alert" else mark.kind
        begin, end = (round(min(max(axis.place(at), 0), WIDTH)) for at in (mark.begin, mark.end))
        spans.setdefault(style, set()).add((begin, max(end, begin + _LEAST_WIDTH)))
    listed = [mark for mark in reversed(marks) if mark.kind != "checkpoint"]
    return DrawnMarks(
        {style: _trace(style, sorted(found)) for style, found in spans.items()},
        listed[:MAX_LISTED],
        sum(mark.kind == "alert" for mark in marks),
        sum(mark.kind == "restart" for mark in marks),
        sum(mark.kind == "checkpoint" for mark in marks),
    )


def _trace(style: str, spans: Sequence[tuple[int, int]]) -> str:
    if style == "restart":
        return "".join(f"M{begin} 0V{HEIGHT}" for begin, _ in spans)
    top = HEIGHT - _TICK_HEIGHT if style == "checkpoint" else 0
    return "".join(f"M{begin} {top}H{end}V{HEIGHT}H{begin}Z" for begin, end in _join(spans))


def _join(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans without overlaps."""
    joined: list[tuple[int, int]] = []
    for begin, end in spans:
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


def _starts(started: Values, axis: Axis) -> list[float]:
    found: list[float] = []
    before = None
    for at in started:
        if at is None:
            continue
        is_new = before is None or abs(at - before) > _SAME_START_SECONDS
        if is_new and axis.begin <= at <= axis.now:
            found.append(at)
        before = at
    return found


def _checkpoints(series: Series, saving: Values) -> list[float]:
    """The points in which the trainer spent time saving."""
    found, before = [], None
    for at, total in zip(series.times, saving, strict=True):
        if total is None:
            continue
        if before is not None and total > before:
            found.append(at)
        before = total
    return found
