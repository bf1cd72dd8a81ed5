"""A measurement is kept for the very settings that it was made with."""

from dataclasses import replace
from pathlib import Path

import pytest

from fleet.plan import calibration
from tests.fleet.plan.test_footprint import HALF_A_BILLION, WORK


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state" / "measured.json"
    monkeypatch.setattr(calibration, "file", lambda: path)
    return path


def test_a_measurement_is_read_back() -> None:
    calibration.write(HALF_A_BILLION, WORK, peak_bytes=9e9, pace={1: 0.5, 2: 0.6})

    assert calibration.read(HALF_A_BILLION, WORK) == (9e9, {1: 0.5, 2: 0.6})
    assert calibration.read(replace(HALF_A_BILLION, name="the same by another name"), WORK) is not None


def test_other_settings_were_not_measured() -> None:
    calibration.write(HALF_A_BILLION, WORK, peak_bytes=9e9, pace={1: 0.5})

    assert calibration.read(HALF_A_BILLION, replace(WORK, batch=4)) is None
    assert calibration.read(replace(HALF_A_BILLION, layers=25), WORK) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}'])
def test_a_broken_file_is_no_measurement_and_is_replaced(place: Path, text: str) -> None:
    place.parent.mkdir()
    place.write_text(text)

    assert calibration.read(HALF_A_BILLION, WORK) is None
    calibration.write(HALF_A_BILLION, WORK, peak_bytes=9e9, pace={})
    assert calibration.read(HALF_A_BILLION, WORK) == (9e9, {})
