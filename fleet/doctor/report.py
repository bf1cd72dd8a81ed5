"""The doctor's findings as lines for a person and as data for a program; pure."""

from collections.abc import Iterable
from typing import Any

from fleet.console.view import clean
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
    """`check`, `level`, `message` and `remedy` (null where nothing is to be done) of each finding."""
    return [
        {
            "check": name,
            "level": finding.level.describe(),
            "message": clean(finding.message),
            "remedy": clean(finding.remedy) or None,
        }
        for name, finding in findings
    ]
