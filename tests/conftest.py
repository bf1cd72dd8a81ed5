"""How the suite runs: the long files first, and what a missing program cost said in one line at the end."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orphans import OrphanGuard
from tests.programs import describe_skips

# Tests run beside each other, and their trainers too: one thread each.
os.environ["OMP_NUM_THREADS"] = "1"

# Collecting makes many objects that all stay: the collector would only look through them again and again.
gc.disable()

# Workers that share the files begin with these, so that none is left alone with a long one.
_LONG = (
    "e2e/test_watched_fleet.py",
    "e2e/test_engines.py",
    "e2e/test_two_peers.py",
    "e2e/test_services_under_supervisor.py",
    "e2e/test_services_under_systemd.py",
    "trainer/test_main.py",
    "trainer/test_swarm_of_two.py",
    "fleet/plan/test_measure.py",
    "e2e/test_demo.py",
    "alerts/rules/test_two_engines.py",
    "exporter/progress/test_trl_run.py",
    "exporter/test_telemetry.py",
    "exporter/test_phases.py",
    "exporter/leaderboard/test_service.py",
    "trainer/test_reward_rises.py",
    "alerts/test_kill.py",
    "alerts/web/page/test_browser.py",
    "alerts/telegram/test_bot.py",
    "alerts/test_delivery.py",
    "alerts/test_loop.py",
    "alerts/web/test_stream.py",
    "fleet/managers/test_launchd.py",
    "fleet/commands/test_up.py",
)
_HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """However the run ends, nothing that it started stays. Workers are marked by the run that starts them."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        guard = OrphanGuard()
        config.add_cleanup(lambda: guard.__exit__())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several workers share the tests, puts the long files first."""
    if hasattr(config, "workerinput"):
        places = {_HERE / name: place for place, name in enumerate(_LONG)}
        items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """From here on there is garbage, but not among what was collected."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    line = describe_skips(str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple))
    if line:
        terminalreporter.write_line(line, yellow=True)
