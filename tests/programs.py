"""Programs of the system that some tests need."""

import os
import shutil

import pytest


def require(program: str) -> str:
    """The path of `program`; skips the test where it is absent, and fails it where the run allows no skip."""
    path = shutil.which(program)
    if path is None and os.environ.get("PEERWATCH_NO_SKIP"):
        pytest.fail(f"{program} is not installed, and this run allows no skip")
    if path is None:
        pytest.skip(f"needs {program}; .ci/run names the Debian packages that the tests use")
    return path
