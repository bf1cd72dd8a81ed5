"""How the suite runs: the long files first, and what a missing program cost said in one line at the end."""

import gc
import os
import random
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.orphans import OrphanGuard
from tests.programs import describe_skips

# Tests run beside each other, and their trainers too: one thread each.
os.environ["OMP_NUM_THREADS"] = "1"

# Collecting makes many objects that all stay: the collector would only look through them again and again.
gc.disable()

# Workers that share the files begin with these, so that none is left alone with a long one.
_LONG = (
    "e2e/test_services_under_systemd.py",
    "e2e/test_watched_fleet.py",
    "trainer/test_swarm_of_four.py",
    "e2e/test_machines.py",
    "e2e/test_two_peers.py",
    "fleet/plan/test_measure.py",
    "e2e/test_engines.py",
    "exporter/test_telemetry.py",
    "e2e/test_demo.py",
    "e2e/test_services_under_supervisor.py",
    "alerts/rules/test_two_engines.py",
    "e2e/test_attached.py",
    "exporter/progress/test_trl_run.py",
    "exporter/leaderboard/test_service.py",
    "fleet/managers/test_launchd.py",
    "alerts/test_kill.py",
    "alerts/web/page/test_browser.py",
    "alerts/web/page/test_peer_browser.py",
    "fleet/commands/test_up.py",
    "alerts/telegram/test_bot.py",
    "alerts/test_delivery.py",
    "alerts/test_loop.py",
    "alerts/web/test_stream.py",
    "e2e/test_rl_swarm.py",
    "e2e/test_rl_swarm_services.py",
    "trainer/swarm/test_dht.py",
    "alerts/standby/test_two_watchers.py",
    "fleet/commands/test_alerts.py",
    "test_one_file.py",
    "test_damaged_databases.py",
    "exporter/test_pace_on_traces.py",
    "test_programs.py",
)
# Files that one worker runs, one after the other, as each worker that runs one of them imports the same for seconds:
# the trainer in the process that `tests.warm` forks, and torch or hivemind in its own.
_TOGETHER = (
    (
        "trainer/test_swarm_of_four.py",
        "trainer/test_swarm_of_two.py",
        "trainer/test_main.py",
        "trainer/test_reward_rises.py",
        "trainer/test_check_agrees.py",
        "trainer/tasks/test_table.py",
        "e2e/test_rl_swarm_fleet.py",
    ),
    (
        "exporter/test_telemetry.py",
        "exporter/test_telemetry_measures.py",
        "exporter/test_telemetry_processes.py",
        "exporter/test_phases.py",
        "trainer/test_kill_while_saving.py",
        "trainer/test_driver.py",
        "trainer/test_data.py",
    ),
    (
        "trainer/swarm/test_dht.py",
        "trainer/swarm/test_killed_peers.py",
        "trainer/swarm/test_leadership.py",
        "trainer/swarm/test_open.py",
        "trainer/swarm/test_signed.py",
        "trainer/swarm/test_identity.py",
        "exporter/identity/test_peer_id.py",
        "exporter/leaderboard/test_dht.py",
    ),
)
_MANY_MODULES = 100
_HERE = Path(__file__).parent
# Whether this process has collected every file of the suite, and which modules it had then.
_COLLECTED = pytest.StashKey[tuple[bool, frozenset[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """However the run ends, nothing that it started stays. Workers are marked by the run that starts them."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        guard = OrphanGuard()
        config.add_cleanup(lambda: guard.__exit__())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """As `--dist loadfile`, with some files together."""
    from xdist.scheduler import LoadFileScheduling

    if config.getoption("dist") != "loadfile":
        return None
    first = {str(_HERE / name): str(_HERE / names[0]) for names in _TOGETHER for name in names}

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = str(config.rootpath / nodeid.partition("::")[0])
            return first.get(path, path)

    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Workers collect the same files, each in an order of its own: what one has compiled, the others only load."""
    report = yield
    if hasattr(collector.config, "workerinput") and isinstance(collector, pytest.Directory):
        random.Random(f"{collector.config.workerinput['workerid']} {collector.nodeid}").shuffle(report.result)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several workers share the tests, puts the long files first, and all in the same order."""
    config.stash[_COLLECTED] = {*_HERE.rglob("test_*.py")} <= {item.path for item in items}, frozenset(sys.modules)
    if hasattr(config, "workerinput"):
        places = {_HERE / name: place for place, name in enumerate(_LONG)}
        items.sort(key=lambda item: (places.get(item.path, len(places)), item.path))


def pytest_collection_finish() -> None:
    """From here on there is garbage, but not among what was collected."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def collected(pytestconfig: pytest.Config) -> tuple[bool, frozenset[str]]:
    """Whether this process has collected every file of the suite, and which modules it had imported then."""
    return pytestconfig.stash[_COLLECTED]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Commands that a test runs in this process set its umask, and what the next test writes must not depend on it.

    What it imported stays: torch and its like are a third of a second for each look through all that there is, which
    every training begins with.
    """
    before, count = os.umask(0o022), len(sys.modules)
    try:
        return (yield)
    finally:
        os.umask(before)
        if len(sys.modules) > count + _MANY_MODULES:
            gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    line = describe_skips(str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple))
    if line:
        terminalreporter.write_line(line, yellow=True)
