"""A finding is one clean line, whatever its text holds."""

from pathlib import Path

from fleet.doctor.checks import discover
from fleet.doctor.findings import ok, warning
from fleet.doctor.report import describe, line, table

DOCS = Path(__file__).parents[3] / "docs" / "doctor.md"


def test_a_line_names_level_check_and_remedy() -> None:
    assert line("clock", warning("it is late", "set it")) == "warning  clock       it is late; set it"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in line("crashes", ok("\x1b[31mred\x1b[0m\nnext"))
    assert "\n" not in line("crashes", ok("one\ntwo"))


def test_json_has_null_where_there_is_no_remedy() -> None:
    assert describe([("disk", ok("room"))]) == [{"check": "disk", "level": "ok", "message": "room", "remedy": None}]


def test_the_documentation_has_the_table_of_the_checks() -> None:
    assert table(discover()) in DOCS.read_text(), "put in what `peerwatch doctor --list` prints"
