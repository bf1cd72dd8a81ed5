"""What is shown of a program's log."""

from pathlib import Path

from fleet.console.watch import tail


def test_the_last_lines_of_a_log_without_control_characters(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {number}\n\n" for number in range(9)) + "\x1b[31mred\n")
    lines, end = tail(log)
    assert [line.strip() for line in lines] == ["line 5", "line 6", "line 7", "line 8", "[31mred"]
    with log.open("a") as file:
        file.write("new\n")
    assert tail(log, end)[0] == ["new"]


def test_a_log_that_was_rotated_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("young\n")
    assert tail(log, since=10_000) == (["young"], 6)
    assert tail(tmp_path / "none.log") == ([], 0)


def test_a_huge_log_is_read_from_its_end_only(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"x" * 5_000_000 + b"\nend\n")
    assert tail(log)[0][-1] == "end"
