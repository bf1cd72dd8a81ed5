"""Output that cannot be encoded never ends a process."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.plain_output import allow_any_text

# What each process says of a file that is not there, or of a program.
COMMANDS = {
    "fleet": ("-m", "fleet", "check", "-f", "ünï–…密.yaml"),
    "alerts": ("-m", "alerts", "--config", "ünï–…密.yaml"),
    "leaderboard": ("-m", "exporter.leaderboard", "--config", "ünï–…密.yaml"),
    "trainer": ("-m", "trainer", "--config", "ünï–…密.yaml"),
    "sidecar": ("-m", "exporter", "--run-dir", ".", "--listen", "ünï–…密"),
    "launch": ("-m", "fleet.processes.launch", "--record", "starts.json", "--", "ünï–…密"),
}


@pytest.mark.parametrize("process", COMMANDS)
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_cannot_be_encoded_is_shown_in_ascii(tmp_path: Path, process: str, encoding: str) -> None:
    environment = {**os.environ, "LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": f"{encoding}:strict", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *COMMANDS[process]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    said = (done.stdout + done.stderr).decode(encoding)
    assert "Traceback" not in said
    assert "UnicodeEncodeError" not in said
    assert "\\u5bc6" in said
    assert done.returncode in (1, 2)


def test_characters_of_our_own_texts_have_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    allow_any_text()
    output.write("2 – 3 × 4… → ü\udcff")
    output.flush()
    assert output.buffer.getvalue() == rb"2 - 3 x 4... -> \xfc\udcff"  # type: ignore[attr-defined]
