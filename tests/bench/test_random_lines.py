"""A gigabyte of random lines through each reader, in bounded memory."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.exporter.progress.test_fuzz import MEGABYTE, SOURCES, feed

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

MEGABYTES = 1024
SUBJECT = "A gigabyte of random lines through each reader"


@pytest.mark.parametrize(("name", "options"), SOURCES)
def test_a_gigabyte_of_random_lines_takes_little_memory(
    tmp_path: Path, name: str, options: Mapping[str, str], record: Callable[..., None]
) -> None:
    began = time.monotonic()
    figures = feed(tmp_path, name, options, MEGABYTES)
    title = f"{name} with a pattern" if "pattern" in options else name
    speed = f"{MEGABYTES / figures['cpu']:.0f} MB in a second of a processor, {time.monotonic() - began:.0f} s in all"
    record(SUBJECT, title, f"peak {figures['peak'] / MEGABYTE:.0f} MB; {speed}", "at most 50 MB")
    assert figures["peak"] < 50 * MEGABYTE
