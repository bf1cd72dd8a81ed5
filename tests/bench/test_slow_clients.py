"""Scrapes under hostile connections, in turns with those of a server that is left alone."""

from urllib.parse import urlsplit

import psutil
import pytest

from tests.alerts.conftest import AlertLoop
from tests.exporter.crowd import attacking, scrape_both, sidecar
from tests.fakes import wait_for

pytestmark = pytest.mark.bench
ROUNDS = 5
SUBJECT = "{} under 1000 slow, huge and random connections"


def compare(subject, attacked, calm, pid, record, scrapes, path="/metrics"):
    """Attacks one of two servers by port; notes and returns the ratio of the p99, of all rounds together."""
    process = psutil.Process(pid)
    before = process.memory_full_info().uss
    ours, theirs = [], []
    for _ in range(ROUNDS):
        with attacking(attacked, 1000):
            under_attack, alone = scrape_both(attacked, calm, scrapes, path)
            ours += under_attack.seconds
            theirs += alone.seconds
            after, threads = process.memory_full_info().uss, process.num_threads()
    ratios = {}
    for share in (0.5, 0.99):
        own, other = (1e3 * sorted(one)[int(share * (len(one) - 1))] for one in (ours, theirs))
        ratios[share] = own / other
        text = f"{own / other:.2f} times ({own:.2f} ms against {other:.2f} ms)"
        record(SUBJECT.format(subject), f"p{100 * share:.0f}", text, "2 times")
    record(SUBJECT.format(subject), "failed scrapes", f"0 of {len(ours)}", "0")
    text = f"{before / 1e6:.1f} MB before, {after / 1e6:.1f} MB under attack; {threads} threads"
    record(SUBJECT.format(subject), "USS", text, "")
    return ratios[0.99]


def test_the_sidecar(tmp_path, record):
    with sidecar(tmp_path) as (pid, port), sidecar(tmp_path) as (_, calm_port):
        assert compare("Scrapes of the sidecar", port, calm_port, pid, record, 400) <= 2.0


def test_the_alert_loop(tmp_path, record):
    loops = []
    for name in ("attacked", "calm"):
        folder = tmp_path / name
        folder.mkdir()
        settings = {"fleet": "test", "state_dir": str(folder / "state"), "listen": "127.0.0.1:0"}
        loops.append(AlertLoop(folder, settings))
    try:
        for loop in loops:
            loop.start()
            wait_for(lambda loop=loop: loop.get("/metrics").status_code == 200, 20, "the loop answers")
        ports = [urlsplit(loop.address).port for loop in loops]
        pid = loops[0].process.pid
        ratios = [
            compare("Scrapes of the alert loop", *ports, pid, record, 60),
            compare("Views of the status page", *ports, pid, record, 60, "/"),
        ]
        assert max(ratios) <= 2.0
    finally:
        for loop in loops:
            if loop.process is not None:
                loop.stop()
