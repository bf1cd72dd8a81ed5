"""What the doctor's tests share: a site from a configuration's text, and processes that pass for trainers."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.configuration.load import load_text
from fleet.doctor.checks import discover
from fleet.doctor.findings import Finding, Level
from fleet.doctor.site import Site
from tests.fleet.conftest import ports_text

Examine = Callable[..., list[Finding]]


@pytest.fixture
def examine(tmp_path: Path) -> Examine:
    """The findings of one check about a fleet; the site's other fields by keyword."""

    def examine(check: str, text: str = "", **fields: object) -> list[Finding]:
        content = text if "fleet:" in text else f"fleet: a\n{ports_text()}{text}"
        (tmp_path / "peerwatch.yaml").write_text(content)
        loaded = load_text(content, str(tmp_path / "peerwatch.yaml"), tmp_path, tmp_path / "state")
        assert loaded.is_usable, loaded.lines()
        return list(discover()[check].examine(Site(loaded, **fields)))  # type: ignore[arg-type]

    return examine


@pytest.fixture
def start_trainer(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts a process with the command line of rl-swarm's trainer, which waits; its pid."""
    started = []

    def start(module: str = "rgym_exp.runner.swarm_launcher", *, cwd: Path | None = None, **environment: str) -> int:
        path = tmp_path / "modules" / (module.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import sys, time\nprint('up', flush=True)\ntime.sleep(300)\n")
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--config-name", "rg-swarm.yaml"],
            cwd=cwd or tmp_path,
            env={"PYTHONPATH": str(tmp_path / "modules"), "PATH": "/usr/bin:/bin", **environment},
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def make_python(tmp_path: Path) -> Callable[[str], str]:
    """An interpreter of one's own: a script that stands before the real one and says what `body` does."""

    def make(body: str) -> str:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{textwrap.dedent(body)}\n")
        path.chmod(0o755)
        return str(path)

    return make


def messages(findings: list[Finding], level: Level) -> str:
    """Messages and remedies of one level, as one text."""
    return "\n".join(f"{one.message}; {one.remedy}" for one in findings if one.level is level)
