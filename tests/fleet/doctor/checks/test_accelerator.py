"""The doctor asks the accelerators by the real probe, with a stand-in for NVIDIA's library."""

from pathlib import Path

import pytest

from fleet.doctor.findings import Level
from tests.exporter.accelerators.stand_in import card, install
from tests.fleet.doctor.conftest import Examine, messages


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("fleet.doctor.checks.accelerator.find_kind", lambda system: "nvidia")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "library"))
    return tmp_path / "library"


def test_cards_that_answer_are_named(library: Path, examine: Examine) -> None:
    install(library, card(), card(uuid="GPU-77aa0000-1", name="NVIDIA L4"))
    (found,) = examine("accelerator")
    assert (found.level, found.message) == (
        Level.OK,
        "NVIDIA GeForce RTX 4090 (GPU-6f2b1c9e), NVIDIA L4 (GPU-77aa0000): answered",
    )


def test_a_lost_card_is_a_failure_beside_one_that_answers(library: Path, examine: Examine) -> None:
    install(library, card(), card(uuid="GPU-77aa0000-1", name="NVIDIA L4", memory={"error": 15}))
    found = examine("accelerator")
    assert "NVIDIA L4 (GPU-77aa0000): lost; reset it" in messages(found, Level.FAILURE)
    assert "RTX 4090" in messages(found, Level.OK)


def test_a_card_that_hangs_keeps_the_doctor_no_longer_than_its_limit(
    library: Path, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exporter.accelerators.shared_probe import probe_command

    install(library, hangs=True)
    monkeypatch.setattr(
        "fleet.doctor.checks.accelerator.probe_command",
        lambda kind, python: probe_command(kind, limit_seconds=1, python=python),
    )
    assert "card or driver hangs" in messages(examine("accelerator"), Level.FAILURE)


def test_a_library_that_a_container_lacks_is_a_warning(library: Path, examine: Examine) -> None:
    install(library, error=12)
    warning = messages(examine("accelerator"), Level.WARNING)
    assert warning.startswith("cannot be read: libnvidia-ml.so.1 is not here; in a container, set NVIDIA_DRIVER")


def test_a_machine_without_any_is_well(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.doctor.checks.accelerator.find_kind", lambda system: None)
    assert messages(examine("accelerator"), Level.OK) == "this machine has none; "
