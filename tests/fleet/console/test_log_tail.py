"""Following logs, through rotation and with hostile lines."""

from pathlib import Path

from fleet.console.log_tail import Reader


def test_the_last_lines_and_then_the_new_ones(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\nthree\nfo")
    reader = Reader(log)
    assert reader.last(2) == ["two", "three"]
    with log.open("a") as file:
        file.write("ur\nfive\n")
    assert reader.new() == ["four", "five"]
    assert reader.new() == []


def test_a_log_that_is_cut_or_replaced_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("a long first line\n")
    reader = Reader(log)
    reader.last(0)
    log.write_text("cut\n")
    assert reader.new() == ["cut"]
    log.rename(tmp_path / "a.log.1")
    log.write_text("another log that is longer\n")
    assert reader.new() == ["another log that is longer"]


def test_a_log_may_come_later_and_cannot_control_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    reader = Reader(log)
    assert reader.last(5) == []
    log.write_bytes(b"\x1b[2Jred\xff\n")
    assert reader.new() == [" [2Jred\ufffd"]
