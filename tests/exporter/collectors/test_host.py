"""One sidecar of a machine tells the machine's figures."""

import subprocess
import sys
from pathlib import Path

from exporter.collectors.host import LOCK_FILE, Collector
from exporter.metrics import Sample, families

HOLD = """
import sys, time
from pathlib import Path
from exporter.files.file_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def names(samples: list[Sample]) -> set[str]:
    return {sample.name for sample in samples}


def test_the_figures_are_served_once_and_taken_over(tmp_path: Path) -> None:
    lock = tmp_path / LOCK_FILE
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        collector = Collector(lock, (tmp_path,))
        assert list(collector.collect(0.0)) == []
        other.kill()
    found = list(collector.collect(0.0))
    assert {"host_memory_total_bytes", "host_disk_free_bytes", "host_clock_timestamp_seconds"} <= names(found)
    assert families(found)
    # Another one in turn gets nothing while this one lives.
    assert list(Collector(lock, ()).collect(0.0)) == []
