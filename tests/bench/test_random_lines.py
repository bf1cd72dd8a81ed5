"""A gigabyte of what no trainer writes through each reader, in bounded memory: noise, and what its format allows."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.exporter.progress.feeding import feed
from tests.exporter.progress.hostile import MEGABYTE, SOURCES
from tests.exporter.progress.test_fuzz import MOST_SECONDS

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

MEGABYTES = 1024
SUBJECT = "A gigabyte of random lines through each reader"


@pytest.mark.parametrize("name", SOURCES)
def test_a_gigabyte_takes_little_memory(tmp_path: Path, name: str, record: Callable[..., None]) -> None:
    began = time.monotonic()
    figures = feed(tmp_path, SOURCES[name], MEGABYTES * MEGABYTE)
    speed = f"{MEGABYTES / figures.cpu:.0f} MB in a second of a processor, {figures.slowest:.2f} s the slowest call"
    what = f"peak {figures.peak / MEGABYTE:.0f} MB; {speed}, {time.monotonic() - began:.0f} s in all"
    record(SUBJECT, name, what, "at most 50 MB")
    assert figures.peak < 50 * MEGABYTE
    assert figures.slowest < MOST_SECONDS
