"""`peerwatch up` without a file, as a new user runs it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes import arguments_of, descendants, get, still_alive, wait_for

pytestmark = pytest.mark.e2e

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+\S*")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = tmp_path / "up.log"
    environment = os.environ | {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "fleet", "up"], stdout=sink, stderr=subprocess.STDOUT, env=environment, cwd=tmp_path
        )
    yield process, log
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=180)


def test_the_demo_trains_shows_ranks_and_leaves_nothing_behind(demo: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, log = demo
    wait_for(lambda: log.read_text(), 30, "a first line")
    wait_for(lambda: "logs " in log.read_text() or process.poll() is not None, 30, "addresses")
    assert process.poll() is None, log.read_text()
    status_page = "http://127.0.0.1:8750"
    assert f"status page   {status_page}\n" in log.read_text()

    def both_are_ranked() -> bool:
        try:
            peers = get(f"{status_page}/api/status").json()["peers"]
        except (httpx.HTTPError, ValueError):
            return False
        return len(peers) == 2 and all(peer["steps_total"] and peer["rank"] for peer in peers)

    wait_for(both_are_ranked, 90, "both peers have steps and a rank")
    addresses = set(ADDRESS.findall(log.read_text()))
    assert len(addresses) >= 4
    for address in addresses:
        assert get(address.rstrip(".,)")).status_code == 200, address

    family = descendants(process.pid)
    assert any("p2pd" in " ".join(arguments_of(one)) for one in family)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=180)
    assert not still_alive(family)
    assert "Traceback" not in log.read_text()
