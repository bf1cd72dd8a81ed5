"""The checks run behind fences, and what they find comes in order."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fleet.configuration.load import load_text
from fleet.doctor import examination
from fleet.doctor.findings import Finding, Level, ok
from fleet.doctor.site import Site


def _check(*findings: Finding, error: Exception | None = None, wait: threading.Event | None = None) -> SimpleNamespace:
    def examine(_site: Site) -> Iterator[Finding]:
        if wait is not None:
            wait.wait(30)
        yield from findings
        if error is not None:
            raise error

    return SimpleNamespace(examine=examine)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(load_text("fleet: a\n", "peerwatch.yaml", tmp_path, tmp_path / "state"))


def test_a_broken_check_costs_only_its_own_findings(site: Site) -> None:
    checks = {"a": _check(error=ValueError("two\nlines")), "b": _check(ok("fine"))}
    found = list(examination.examine(site, checks))
    assert [(name, one.level) for name, one in found] == [("a", Level.WARNING), ("b", Level.OK)]
    assert found[0][1].message == "not found out: ValueError: two lines"


def test_a_check_that_hangs_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "CHECK_SECONDS", 0.2)
    release = threading.Event()
    try:
        found = list(examination.examine(site, {"a": _check(ok("late"), wait=release), "b": _check(ok("fine"))}))
    finally:
        release.set()
    assert [one.message for _, one in found] == ["not found out within 0.2 s", "fine"]
