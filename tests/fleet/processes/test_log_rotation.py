"""Rotation of logs that a program keeps open."""

from pathlib import Path

import pytest

from fleet.processes.log_rotation import main, rotate


def test_a_log_that_is_open_goes_on_in_the_cut_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("a") as writer:
        for number in range(5):
            print(f"line {number}", file=writer, flush=True)
            assert rotate(log, max_bytes=3, kept=2)
        print("now", file=writer, flush=True)
    contents = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert contents == {"a.log": "now\n", "a.log.1": "line 4\n", "a.log.2": "line 3\n"}


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("short\n")
    assert not rotate(log, max_bytes=6)
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]


def test_it_rotates_every_log_of_a_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = [tmp_path / "alerts" / "alerts.log", tmp_path / "peers" / "amber" / "trainer.log"]
    for log in logs:
        log.parent.mkdir(parents=True)
        with log.open("wb") as file:
            file.truncate(20_000_001)
    assert main([str(tmp_path)]) == 0
    assert [log.stat().st_size for log in logs] == [0, 0]
    assert all(log.with_name(f"{log.name}.1").stat().st_size == 20_000_001 for log in logs)
