"""MemoryExceeded: the footprint against the peer's limit."""

import pytest

from alerts.rules import View
from alerts.rules.memory_exceeded import GIB, Settings, judge
from alerts.scraping.page import parse
from tests.alerts.conftest import sidecar_page
from tests.alerts.rules.pages import NOW, silent, view

SETTINGS = Settings()


@pytest.mark.parametrize(
    ("footprint", "condition"),
    [(1.0, "inactive"), (3.59, "inactive"), (3.7, "unknown"), (3.8, "active"), (5.0, "active")],
)
def test_the_verdict_follows_the_footprint_with_hysteresis(footprint: float, condition: str) -> None:
    assert judge(view(footprint=footprint * GIB, limit=4 * GIB), SETTINGS).condition == condition


def test_the_summary_names_both_numbers_with_their_unit() -> None:
    verdict = judge(view(footprint=4.5 * GIB, limit=4 * GIB), SETTINGS)
    assert verdict.summary == "Memory 4.50 GiB, 112% of the limit of 4.00 GiB."


def test_the_summary_says_that_the_resident_size_stands_in() -> None:
    page = parse(sidecar_page(NOW, footprint=4.5 * GIB, limit=4 * GIB) + "trainer_memory_estimated_processes 1\n")
    verdict = judge(View("a", NOW, page), SETTINGS)
    assert verdict.summary == "Memory 4.50 GiB (resident size), 112% of the limit of 4.00 GiB."
    assert verdict.condition == "active"


@pytest.mark.parametrize("changes", [{"footprint": None}, {"limit": None}, {"limit": 0}, {"up": None}])
def test_what_is_not_measured_gives_no_verdict(changes: dict[str, float | None]) -> None:
    assert judge(view(**{"footprint": 9 * GIB, **changes}), SETTINGS).condition == "unknown"
    assert judge(silent(999), SETTINGS).condition == "unknown"


def test_a_trainer_that_is_gone_holds_no_memory() -> None:
    assert judge(view(up=0, footprint=9 * GIB), SETTINGS).condition == "inactive"
