"""Whether another peer pays off, and the pace of all peers together as bars and as a chart."""

from collections.abc import Mapping
from pathlib import Path

# Less than this is within what two runs of the same peers differ by.
WORTH = 0.05
_BAR_WIDTH = 40


def is_worth(before: float, after: float) -> bool:
    """Whether the last peer raised the steps per second of all together by enough."""
    return after >= (1 + WORTH) * before


def best_count(pace: Mapping[int, float]) -> int | None:
    """The number of peers after which another one no longer pays off; None if the measurement did not reach it."""
    for count in sorted(pace):
        if count + 1 in pace and not is_worth(pace[count], pace[count + 1]):
            return count
    return None


def bars(pace: Mapping[int, float], cores: int) -> list[str]:
    """A line for each number of peers."""
    most = max(pace.values())
    lines = []
    for count in sorted(pace):
        filled = "█" * max(1, round(_BAR_WIDTH * pace[count] / most))
        threads = max(1, cores // count)
        unit = "thread " if threads == 1 else "threads"
        lines.append(f"{count:>3} × {threads:>2} {unit} {filled:<{_BAR_WIDTH}} {pace[count]:.3g} steps/s")
    return lines


def check_plot(path: Path) -> None:
    """Raises ValueError if the chart could not be written after the measurement."""
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(
            "--plot needs matplotlib, which is not installed; pip install 'peerwatch[plot]', or leave it out"
        )
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--plot {path}: use a name that ends in .png, .svg or .pdf")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"--plot {path}: no folder {path.absolute().parent}")


def plot(pace: Mapping[int, float], path: Path, *, title: str, use: Mapping[int, float] | None = None) -> None:
    """Writes the steps per second by number of peers, and `use`, the share of all processors. Raises OSError."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    counts = sorted(pace)
    names = [str(count) for count in counts]
    # The same figures make the same file: neither a date nor random names are in it.
    with mpl.rc_context({"svg.hashsalt": "peerwatch"}):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot()
        drawn = axes.bar(names, [pace[count] for count in counts], color="#4c78a8", width=0.6)
        axes.bar_label(drawn, fmt="%.3g", label_type="center", color="white")
        axes.set(title=title, xlabel="peers", ylabel="steps/s, all together")
        if use:
            shares = axes.twinx()
            line = [100 * use[count] for count in counts]
            shares.plot(names, line, color="#e45756", marker="o")
            for name, share in zip(names, line, strict=True):
                shares.annotate(f"{share:.0f} %", (name, share), (0, 6), textcoords="offset points", ha="center")
            shares.set(ylim=(0, 110), ylabel="processors in use, %")
            shares.yaxis.label.set_color("#e45756")
        figure.savefig(path, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
