"""A test that misses a program is skipped, and the last line says how to get it; where none may be, it fails."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.programs import PACKAGES, describe_skips

ROOT = Path(__file__).parents[1]
# Some of its tests need promtool.
FILE = "tests/grafana/test_prometheus.py"


def run(*options: str, **variables: str) -> tuple[int, list[str]]:
    """Exit status and output of a file's tests on a machine without the programs."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PEERWATCH_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, FILE],
        cwd=ROOT,
        env={**kept, "PATH": "/nowhere", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def test_the_last_line_says_how_to_get_what_was_missing() -> None:
    status, lines = run("-n", "2", "--dist", "loadfile")

    assert status == 0
    assert re.fullmatch(r"skipped \d+ tests: no promtool; apt-get install prometheus brings it", lines[-2])
    assert " skipped" in lines[-1]


def test_where_no_skip_is_allowed_it_fails() -> None:
    status, lines = run(PEERWATCH_NO_SKIP="1")

    assert status == 1
    assert " failed" in lines[-1]


def test_programs_of_one_package_are_installed_once() -> None:
    reasons = ["Skipped: needs the program promtool", "Skipped: needs the program prometheus", "Skipped: needs root"]

    assert describe_skips(reasons) == "skipped 2 tests: no prometheus, promtool; apt-get install prometheus brings them"
    assert describe_skips(["Skipped: needs root"]) == ""


def test_the_packages_are_those_that_ci_installs() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    # No Debian goes without util-linux, and images are built in `make bench` alone.
    for package in set(PACKAGES.values()) - {"util-linux", "buildah", "mmdebstrap"}:
        assert re.search(rf"\s{package}\s", script), package
