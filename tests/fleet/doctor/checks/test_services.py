"""Services that would end with the log-out, and a record of them that is broken, are named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.doctor.findings import Level
from fleet.state_folder import StateFolder
from fleet.supervision.installed import Installed, write_installed
from tests.fleet.doctor.conftest import Examine, messages


@pytest.fixture
def install(tmp_path: Path) -> Callable[[str], None]:
    def install(manager: str) -> None:
        folder = StateFolder(tmp_path / "state")
        folder.services.mkdir(parents=True)
        write_installed(folder, Installed(manager, "a", "owner", "1.0"))

    return install


def test_services_that_end_with_the_log_out_are_a_warning(examine: Examine, install: Callable[[str], None]) -> None:
    install("launchd")
    found = examine("services")
    assert "is installed as services of launchd" in messages(found, Level.OK)
    assert "macOS ends a user's agents at log-out" in messages(found, Level.WARNING)


def test_services_of_an_earlier_version_are_a_warning(examine: Examine, install: Callable[[str], None]) -> None:
    install("supervisor")
    assert "has changed since the services were installed; run `peerwatch services install`" in messages(
        examine("services"), Level.WARNING
    )


def test_a_record_that_is_broken_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "state" / "services").mkdir(parents=True)
    (tmp_path / "state" / "services" / "installed.json").write_text("{")
    assert "the record of the installed services" in messages(examine("services"), Level.FAILURE)


def test_a_fleet_without_services_is_ok(examine: Examine) -> None:
    assert [one.level for one in examine("services")] == [Level.OK]
