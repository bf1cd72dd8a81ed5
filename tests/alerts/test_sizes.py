"""Formatting of sizes."""

import pytest

from alerts.sizes import show_size


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 MiB"), (300 * 2**20, "300 MiB"), (2**30, "1.0 GiB"), (1.55 * 2**30, "1.6 GiB")]
)
def test_a_size_is_shown_in_the_unit_that_suits_it(count: float, text: str) -> None:
    assert show_size(count) == text
