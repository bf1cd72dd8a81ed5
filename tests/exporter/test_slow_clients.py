"""A real sidecar under a thousand hostile connections, scraped in turns with one that is left alone."""

import psutil

from tests.exporter.crowd import attacking, scrape_both, sidecar

# The clients themselves and other tests keep the machine busy; `make bench` measures the slowest, too.
PATIENCE_SECONDS = 0.5


def test_a_thousand_hostile_connections_fail_no_scrape_and_slow_none(tmp_path):
    with sidecar(tmp_path) as (pid, port), sidecar(tmp_path) as (_, calm_port):
        check(pid, port, calm_port)


def check(pid, port, calm_port):
    process = psutil.Process(pid)
    threads, memory = process.num_threads(), process.memory_full_info().uss
    with attacking(port, 1000):
        attacked, calm = scrape_both(port, calm_port, 100)
        assert process.num_threads() == threads
        assert process.memory_full_info().uss < memory + (8 << 20)
        assert sum(one.status == "ESTABLISHED" for one in process.net_connections()) <= 1024
    assert attacked.quantile(0.5) < 2 * calm.quantile(0.5) + PATIENCE_SECONDS
