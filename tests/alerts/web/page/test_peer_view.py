"""The HTML of a peer's page in every language, from hostile texts."""

from datetime import UTC
from typing import Any

import pytest

from alerts.evidence.log_end import LogEnd
from alerts.i18n import discover
from alerts.web.page.chart import Axis, Chart, Curve, draw, time_ticks
from alerts.web.page.marks import Mark, draw_marks
from alerts.web.page.peer_view import Fact, Links, PeerView, SpanChoice
from alerts.web.page.render import Renderer
from alerts.web.window import Window

NASTY = "<b>'\"&"
AXIS = Axis(0.0, 100.0, 90.0)
ALERT = {
    "rule": NASTY,
    "peer": NASTY,
    "severity": "critical",
    "state": "firing",
    "since": 50.0,
    "summary": NASTY,
    "silenced": False,
    "acknowledged": False,
    "inhibited_by": None,
}


def make_view(**changes: Any) -> PeerView:
    curves = [Curve("memory", "line", [1.0, 2.0]), Curve("memory", "other", [2.0, 1.0], peer=NASTY)]
    drawing = draw(Chart("memory", "bytes", [0.0, 50.0], 50.0, curves, outlook=((90.0, 2.0), (100.0, 3.0))), AXIS)
    marks = [
        Mark("alert", 10.0, 20.0, NASTY, NASTY, NASTY),
        Mark("restart", 30.0, 30.0),
        Mark("checkpoint", 40.0, 40.0),
    ]
    values: dict[str, Any] = {
        "fleet": NASTY,
        "peer": NASTY,
        "now": 90.0,
        "evaluated_at": 85.0,
        "window": Window(90.0, None, NASTY),
        "axis": AXIS,
        "ticks": time_ticks(AXIS, UTC),
        "spans": [SpanChoice(3600.0, f"/{NASTY}", True)],
        "links": Links(*(f"/{NASTY}" for _ in Links._fields)),
        "earlier": [SpanChoice(3600.0, "-1h", False)],
        "peers": [NASTY],
        "facts": [Fact(NASTY, "text", NASTY)],
        "state": "training",
        "alerts": [ALERT],
        "remedies": {NASTY: NASTY},
        "drawings": [drawing],
        "marks": draw_marks(marks, AXIS),
        "times": [0.0, 50.0],
        "log_end": LogEnd(NASTY, [NASTY]),
        "is_history_read": True,
        **changes,
    }
    return PeerView(**values)


@pytest.mark.parametrize("language", sorted(discover()))
def test_every_part_escapes_what_others_wrote(language: Any) -> None:
    page = Renderer(language, UTC).peer_page(make_view())
    assert "&lt;b&gt;" in page
    assert NASTY not in page
    # The page's own bold values have a class.
    assert "<b>" not in page
    assert f'<html lang="{language}"' in page
    assert " style=" not in page
    assert "onclick" not in page
    assert 'class="stroke-outlook" d="M900 ' in page


@pytest.mark.parametrize("language", sorted(discover()))
def test_a_page_without_anything_says_so(language: Any) -> None:
    nothing = make_view(facts=[], alerts=[], drawings=[], marks=draw_marks([], AXIS), times=[], log_end=None)
    words = discover()[language].page
    page = Renderer(language, UTC).peer_page(nothing)
    for name in ("no_facts", "no_log", "no_points", "nothing_happened", "quiet"):
        assert words[name] in page
    unread = Renderer(language, UTC).peer_page(make_view(is_history_read=False))
    assert words["history_failed"] in unread
