"""How far clocks elsewhere are off is known after a restart."""

from pathlib import Path

import pytest

from alerts.machines.clocks import FILE, Clocks


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    Clocks(tmp_path).keep({"rack-1": -3600.5})
    assert Clocks(tmp_path).leads == {"rack-1": -3600.5}


@pytest.mark.parametrize("content", ["", "[]", '{"a": "x"}', '{"a": NaN}', "[" * 9999, "{}"])
def test_a_file_of_others_is_no_clock(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert Clocks(tmp_path).leads == {}
