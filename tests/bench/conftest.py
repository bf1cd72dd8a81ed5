"""Collects the measured figures and writes them, with the machine, to docs/benchmarks.md."""

import datetime
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

HEADING = """\
# Benchmarks

Written by `make bench`. Ratios are medians of several interleaved runs; the machine is shared, so that absolute
figures vary."""

REPORT = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Figure:
    """One measured figure and its goal."""

    subject: str
    name: str
    value: str
    goal: str


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{model}, {psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def render(figures: list[Figure], machine: str, day: datetime.date, earlier: str = "") -> str:
    """The report as Markdown, one section per subject; sections of `earlier` that were not measured again are kept."""
    sections = {
        section.partition("\n")[0]: section.partition("\n")[2].strip("\n") for section in earlier.split("\n## ")[1:]
    }
    for subject in dict.fromkeys(figure.subject for figure in figures):
        rows = [f"| {one.name} | {one.value} | {one.goal} |" for one in figures if one.subject == subject]
        heading = [f"{day.isoformat()}, {machine}", "", "| figure | measured | goal |", "| --- | --- | --- |"]
        sections[subject] = "\n".join([*heading, *rows])
    return "\n".join([HEADING, *(f"\n## {subject}\n\n{sections[subject]}" for subject in sorted(sections))]) + "\n"


@pytest.fixture(scope="session")
def record() -> Iterator[Callable[[str, str, str, str], None]]:
    """`record(subject, name, value, goal)` prints a figure and keeps it for the report."""
    figures: list[Figure] = []

    def keep(subject: str, name: str, value: str, goal: str = "") -> None:
        figures.append(Figure(subject, name, value, goal))
        print(f"{subject}: {name}: {value}" + (f" (goal: {goal})" if goal else ""))

    yield keep
    if figures:
        earlier = REPORT.read_text() if REPORT.exists() else ""
        REPORT.write_text(render(figures, _machine(), datetime.date.today(), earlier))
