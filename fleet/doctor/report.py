"""The doctor's findings as lines for a person and as data for a program, and the table of its checks; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.console.view import clean
from fleet.doctor.examination import Check
from fleet.doctor.findings import Finding, Level

_COLORS = {Level.OK: "\033[32m", Level.WARNING: "\033[33m", Level.FAILURE: "\033[31m"}
_RESET = "\033[0m"


def line(name: str, finding: Finding, *, color: bool = False) -> str:
    """`warning  clock       the clock is 4.0 s behind pool.ntp.org; run …`."""
    level = f"{finding.level.describe():<8}"
    if color:
        level = f"{_COLORS[finding.level]}{level}{_RESET}"
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return f"{level} {name:<11} {clean(finding.message + remedy)}"


def describe(findings: Iterable[tuple[str, Finding]]) -> list[dict[str, Any]]:
    """`check`, `level`, `message` and `remedy` (null if nothing is to be done) of each finding."""
    return [
        {
            "check": name,
            "level": finding.level.describe(),
            "message": clean(finding.message),
            "remedy": clean(finding.remedy) or None,
        }
        for name, finding in findings
    ]


def table(checks: Mapping[str, Check]) -> str:
    """The checks in Markdown, each with the first sentence of its module."""
    rows = [f"| {name} | {_summary(check)} |\n" for name, check in checks.items()]
    return "".join(["| check | what it checks |\n", "|---|---|\n", *rows])


def _summary(check: Check) -> str:
    first, _, _ = (check.__doc__ or "").partition("\n\n")
    return " ".join(first.split()).removesuffix(".")
