"""A limit on open files that a swarm would reach is named: this shell's and a running trainer's."""

import resource
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages


@pytest.fixture
def few_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_files")
def test_a_low_limit_here_is_a_failure(examine: Examine) -> None:
    found = messages(examine("limits"), Level.FAILURE)
    assert "only 256 open files for programs started here" in found
    assert "ulimit -n 4096" in found


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS shows a process's limits to that process only")
def test_a_low_limit_of_a_running_trainer_is_a_warning(examine: Examine, start_trainer: Callable[..., int]) -> None:
    pid = start_trainer()
    psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE, (600, 600))
    assert f"(pid {pid})" in messages(examine("limits"), Level.WARNING)
