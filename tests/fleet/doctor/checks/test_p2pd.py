"""hivemind's daemon is really started; one that is missing or broken is named."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages

MakePython = Callable[[str], str]


@pytest.fixture
def python_with(make_python: MakePython, tmp_path: Path) -> Callable[[str], str]:
    """An interpreter whose hivemind has this script as its daemon."""

    def make(daemon: str) -> str:
        folder = tmp_path / "packages" / "hivemind"
        (folder / "hivemind_cli").mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "hivemind_cli" / "p2pd").write_text(daemon)
        (folder / "hivemind_cli" / "p2pd").chmod(0o755 if daemon.startswith("#!") else 0o644)
        return make_python(f'PYTHONPATH={tmp_path / "packages"} exec {sys.executable} "$@"')

    return make


def test_the_daemon_that_is_installed_runs(examine: Examine) -> None:
    (found,) = examine("p2pd")
    assert found.level is Level.OK
    assert found.message.startswith("p2pd runs")


def test_a_daemon_that_is_not_executable_is_a_failure(examine: Examine, python_with: Callable[[str], str]) -> None:
    found = messages(examine("p2pd", python=python_with("no program")), Level.FAILURE)
    assert "p2pd: Permission denied" in found


def test_a_daemon_that_exits_at_once_is_a_failure(examine: Examine, python_with: Callable[[str], str]) -> None:
    python = python_with("#!/bin/sh\necho 'GLIBC_2.32 not found'\nexit 1\n")
    assert "p2pd does not run: GLIBC_2.32 not found" in messages(examine("p2pd", python=python), Level.FAILURE)


def test_an_environment_without_hivemind_is_a_failure(examine: Examine, make_python: MakePython) -> None:
    python = make_python(f'exec {sys.executable} -I -S "$@"')
    assert "hivemind is not installed" in messages(examine("p2pd", python=python), Level.FAILURE)
