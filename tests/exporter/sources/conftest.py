"""The loopback servers of the sources' tests."""

from collections.abc import Iterator

import pytest

from tests.exporter.sources.json_server import JsonServer


@pytest.fixture
def server() -> Iterator[JsonServer]:
    started = JsonServer()
    yield started
    started.close()
