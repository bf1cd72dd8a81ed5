"""Draws the chart of a task on standard input as PNG on standard output; `choose` runs it as a process.

Writes nothing if the history has too few points.
"""

import json
import os
import sys
import tempfile
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from alerts.history.query import Query, read_file
from alerts.i18n import discover
from alerts.i18n.zones import find_zone

POINTS = 360
LEAST_POINTS = 3
# For a phone: few words, large.
WIDTH, HEIGHT, DPI = 6.4, 3.6, 150
# Safe for colour-blind readers (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
INK, FAINT = "#333333", "#888888"
_GIB = 2**30

Points = list[tuple[datetime, float]]


def main() -> int:
    """The exit status: 0 also if there is nothing to draw."""
    task = json.load(sys.stdin)
    metrics = [task["metric"], *([task["limit"]] if task["limit"] else [])]
    series = read_file(
        Path(task["history"]), Query(tuple(task["peers"]), metrics, task["since"], task["until"], POINTS)
    )
    zone = find_zone(task["zone"])
    scale = _GIB if task["metric"].endswith("_bytes") else 1
    times = [datetime.fromtimestamp(at, zone) for at in series.times]

    def points(peer: str, metric: str) -> Points:
        values = series.values[peer][metric]
        return [(at, value / scale) for at, value in zip(times, values, strict=True) if value is not None]

    lines = {peer: points(peer, task["metric"]) for peer in task["peers"]}
    lines = {peer: line for peer, line in lines.items() if len(line) >= LEAST_POINTS}
    if not lines:
        return 0
    limits = [points(peer, task["limit"])[-1:] for peer in lines] if task["limit"] else []
    known = {limit[0][1] for limit in limits if limit}
    end = datetime.fromtimestamp(task["until"], zone)
    png = _draw(task, lines, known.pop() if len(known) == 1 else None, end)
    sys.stdout.buffer.write(png)
    return 0


def _draw(task: dict[str, Any], lines: dict[str, Points], limit: float | None, end: datetime) -> bytes:
    # matplotlib's font cache must not need a writable home folder.
    os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / f"peerwatch-matplotlib-{os.getuid()}"))
    import io
    import logging

    import matplotlib

    matplotlib.use("Agg")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib import dates, font_manager
    from matplotlib import pyplot as plot
    from matplotlib.ticker import MaxNLocator

    known = {font.name for font in font_manager.fontManager.ttflist}
    languages = discover()
    words = languages[task["language"]]
    # Without a font that has its letters, a language would be a row of boxes.
    if words.fonts and known.isdisjoint(words.fonts):
        words = languages["en"]
    title = words.charts[task["metric"]]
    # A peer's name may be in any language.
    fonts = [font for one in languages.values() for font in one.fonts if font in known]
    plot.rcParams["font.family"] = ["DejaVu Sans", *fonts]
    figure, axes = plot.subplots(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
    for colour, (peer, line) in zip(COLOURS, lines.items(), strict=False):
        _draw_line(axes, line, colour, peer, task["metric"] == "rank")
    if len(lines) == 1:  # Several values would overlap.
        _annotate_latest(axes, next(iter(lines.values())), task["metric"] == "rank")
    if limit is not None:
        style = {"color": COLOURS[1], "fontsize": 9, "xytext": (3, 3), "textcoords": "offset points"}
        axes.axhline(limit, color=COLOURS[1], linewidth=1.2, linestyle=(0, (5, 3)))
        text = words.charts["limit"].format(limit)
        axes.annotate(text, (0, limit), xycoords=("axes fraction", "data"), **style)
    if task["metric"] == "rank":
        axes.invert_yaxis()
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.set_ylim(bottom=0, top=max(axes.get_ylim()[1], (limit or 0) * 1.08))
    begin = min(line[0][0] for line in lines.values())
    axes.set_xlim(begin, end + (end - begin) * 0.01)
    locator = dates.AutoDateLocator(minticks=3, maxticks=6, tz=end.tzinfo)
    axes.xaxis.set_major_locator(locator)
    pattern = "%H:%M" if end - begin > timedelta(minutes=10) else "%H:%M:%S"
    axes.xaxis.set_major_formatter(dates.DateFormatter(pattern, tz=end.tzinfo))
    one = next(iter(lines)) if len(lines) == 1 else ""
    axes.set_title(
        f"{one} · {title}" if one else title, loc="left", fontsize=13, color=INK, fontweight="bold", parse_math=False
    )
    if not one:
        axes.legend(frameon=False, fontsize=9, ncols=min(len(lines), 3), loc="upper left", bbox_to_anchor=(0, -0.12))
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelsize=10, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _draw_line(axes: Any, line: Points, colour: str, peer: str, is_rank: bool) -> None:
    """Draws a line with gaps where points are missing, and a dot at its end."""
    gaps = sorted(later - earlier for (earlier, _), (later, _) in pairwise(line))
    longest = 6 * gaps[len(gaps) // 2]
    parts: list[Points] = [[line[0]]]
    for before, point in pairwise(line):
        if point[0] - before[0] > longest:
            parts.append([])
        parts[-1].append(point)
    label = peer if len(peer) <= 24 else f"{peer[:23]}…"
    for number, part in enumerate(parts):
        style = {"drawstyle": "steps-post"} if is_rank else {}
        axes.plot(
            *zip(*part, strict=True), color=colour, linewidth=2, label="_" if number else f"\u200b{label}", **style
        )
    at, value = line[-1]
    axes.plot([at], [value], "o", color=colour, markersize=5, clip_on=False)


def _annotate_latest(axes: Any, line: Points, is_rank: bool) -> None:
    """Writes the latest value beside its point."""
    at, value = line[-1]
    text, offset = f"{value:.0f}" if is_rank else f"{value:.3g}", {"xytext": (6, 0), "textcoords": "offset points"}
    style = {"color": COLOURS[0], "fontsize": 10, "fontweight": "bold", "va": "center"}
    axes.annotate(text, (at, value), annotation_clip=False, **offset, **style)


if __name__ == "__main__":
    sys.exit(main())
