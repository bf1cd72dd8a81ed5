"""supervisord's file: what it says, and that supervisord itself reads it so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.managers.supervisor import render
from fleet.processes.programs import Program
from fleet.processes.state import ProcessState
from fleet.processes.supervisord import Control, ControlError
from fleet.state_folder import StateFolder
from tests.fakes import wait_for

ROOT = Path(__file__).parents[3]


def test_the_file_of_one_program() -> None:
    folder = StateFolder(Path("/state"))
    program = Program("peer", "a", ("/py thon", "-m", "trainer"), Path("/state/50%/a.log"), {"A": "50%", "B": "x/y"})
    assert (
        render([program], folder).partition("[program:")[2]
        == """\
peer-a]
process_name = a
command = '/py thon' -m trainer
environment = A="50%%",B="x/y"
stdout_logfile = /state/50%%%%/a.log
stdout_logfile_maxbytes = 20MB
stdout_logfile_backups = 3
redirect_stderr = true
autorestart = unexpected
exitcodes = 2,100,101
startsecs = 1
startretries = 20
stopsignal = TERM
stopwaitsecs = 11
stopasgroup = false
killasgroup = true
"""
    )


@pytest.mark.parametrize("path", ["/a ;b/log", "/a #b/log", "/a\nb/log"])
def test_a_path_that_its_format_cannot_hold_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="supervisord cannot use"):
        render([Program("alerts", "alerts", ("true",), Path(path))], StateFolder(Path("/state")))


def test_supervisord_restarts_what_ended_early_and_not_what_has_finished(tmp_path: Path) -> None:
    root = tmp_path / "Application Support 100% é"
    folder = StateFolder(root)
    folder.launches.mkdir(parents=True)
    folder.socket.parent.mkdir(exist_ok=True, mode=0o700)

    def program(name: str, code: str) -> Program:
        launch = (sys.executable, "-m", "fleet.processes.launch", "--record", str(folder.launches / f"{name}.json"))
        rest = ("--first-delay", "1.2", "--limit", "1", "--", sys.executable, "-c", code)
        return Program("peer", name, (*launch, *rest), root / f"{name}.log", {"NOTE": "100% {,}"})

    programs = [
        program("finishes", "import os, time; print(os.environ['NOTE'], flush=True); time.sleep(1.5); os._exit(100)"),
        program("ends", "import time; time.sleep(1.5)"),
        program("errs", "import sys, time; time.sleep(1.5); sys.exit(2)"),
        program("stays", "import time; time.sleep(600)"),
    ]
    folder.supervisor_config.write_text(render(programs, folder))
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", folder.supervisor_config],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    control = Control(folder.socket)

    def states() -> dict[str, ProcessState]:
        # The socket is there a moment before supervisord listens.
        try:
            return {one.name: one for one in control.processes()}
        except ControlError:
            return {}

    try:
        assert (folder.root.stat().st_mode & 0o777) >= 0o700
        wait_for(
            lambda: (found := states()) and found["finishes"].is_finished,
            20,
            "the finished program stays stopped",
        )
        # It ends with exit code 0 before it has finished, is started again, and is given up after its limit.
        wait_for(lambda: (found := states()) and found["ends"].has_failed, 30, "the ended program is given up")
        found = {one.name: one for one in control.processes()}
        assert found["stays"].state == "RUNNING"
        assert (found["errs"].has_failed, found["errs"].group) == (True, "peer")
        assert not (root / "errs.log").read_text()
        assert (root / "finishes.log").read_text() == "100% {,}\n"
        assert "giving up" in (root / "ends.log").read_text()
        assert oct(folder.socket.stat().st_mode & 0o777) == "0o700"
    finally:
        process.terminate()
        process.wait(timeout=90)
