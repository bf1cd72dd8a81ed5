"""A command's output as it is passed on, and where it ends."""

import os
from pathlib import Path

import pytest

from fleet.console.copied_output import CopiedOutput


@pytest.mark.parametrize(("text", "is_within_line"), [(b"", False), (b"a\nb\n", False), (b"\r 40%|####      |", True)])
def test_what_is_passed_on_unchanged_may_end_within_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: bytes, is_within_line: bool
) -> None:
    with CopiedOutput(tmp_path / "trainer.log", None) as out:
        os.write(out.descriptor, text)
    assert (capfd.readouterr().out.encode(), out.is_within_line) == (text, is_within_line)
