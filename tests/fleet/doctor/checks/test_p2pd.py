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


def test_output_of_any_bytes_does_no_harm(
    examine: Examine, python_with: Callable[[str], str], capfd: pytest.CaptureFixture[str]
) -> None:
    python = python_with("#!/bin/sh\nprintf '\\377\\376 x\\nno \\377 luck\\n'\nexit 1\n")
    assert "p2pd does not run: no \ufffd luck" in messages(examine("p2pd", python=python), Level.FAILURE)
    assert capfd.readouterr().err == ""


def test_a_daemon_is_ended_though_its_child_keeps_writing(
    examine: Examine, python_with: Callable[[str], str], capfd: pytest.CaptureFixture[str]
) -> None:
    # The child holds the output open until it is refused there.
    python = python_with("#!/bin/sh\n(while echo x; do sleep 0.1; done) 2>/dev/null &\necho Peer ID: Qm\nwait\n")
    (found,) = examine("p2pd", python=python)
    assert found.level is Level.OK
    assert capfd.readouterr().err == ""


def test_a_daemon_that_says_nothing_is_late(
    examine: Examine, python_with: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.doctor.checks.p2pd.START_SECONDS", 0.2)
    python = python_with("#!/bin/sh\nexec sleep 30\n")
    assert "not ready within 0.2 s" in messages(examine("p2pd", python=python), Level.FAILURE)


def test_an_environment_without_hivemind_is_a_failure(examine: Examine, make_python: MakePython) -> None:
    python = make_python(f'exec {sys.executable} -I -S "$@"')
    assert "hivemind is not installed" in messages(examine("p2pd", python=python), Level.FAILURE)
