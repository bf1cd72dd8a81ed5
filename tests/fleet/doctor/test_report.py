"""A finding is one clean line, whatever its text holds."""

from fleet.doctor.findings import ok, warning
from fleet.doctor.report import describe, line


def test_a_line_names_level_check_and_remedy() -> None:
    assert line("clock", warning("it is late", "set it")) == "warning  clock       it is late; set it"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in line("crashes", ok("\x1b[31mred\x1b[0m\nnext"))
    assert "\n" not in line("crashes", ok("one\ntwo"))


def test_programs_are_told_null_where_there_is_no_remedy() -> None:
    assert describe([("disk", ok("room"))]) == [{"check": "disk", "level": "ok", "message": "room", "remedy": None}]
