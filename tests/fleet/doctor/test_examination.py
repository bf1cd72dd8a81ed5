"""A check that fails or hangs costs only its own findings, which come in order."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fleet.configuration.load import load_text
from fleet.doctor import checks, examination
from fleet.doctor.findings import Finding, Level, ok
from fleet.doctor.report import line, table
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
    assert found[0][1].message == "check failed: ValueError: two lines"


def test_a_check_that_hangs_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "CHECK_SECONDS", 0.2)
    release = threading.Event()
    try:
        found = list(examination.examine(site, {"a": _check(ok("late"), wait=release), "b": _check(ok("fine"))}))
    finally:
        release.set()
    assert [one.message for _, one in found] == ["no result within 0.2 s", "fine"]


def test_a_file_is_all_that_a_new_check_takes(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lamp.py").write_text(
        '"""A lamp is lit."""\nfrom fleet.doctor.findings import ok\n\ndef examine(site):\n    yield ok("it is lit")\n'
    )
    monkeypatch.setattr(checks, "__path__", [*checks.__path__, str(tmp_path)])
    try:
        found = checks.discover()
        assert "| lamp | A lamp is lit |\n" in table(found)
        ((name, finding),) = examination.examine(site, {"lamp": found["lamp"]})
        assert line(name, finding) == "ok       lamp        it is lit"
    finally:
        sys.modules.pop("fleet.doctor.checks.lamp", None)
