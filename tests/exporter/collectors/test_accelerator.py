"""The collector's samples, and that a machine without an accelerator loads nothing for it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter.accelerators.peer import PeerAccelerator, PeerReading, Share
from exporter.accelerators.reading import Device, Process
from exporter.collectors.accelerator import Collector, describe
from exporter.config import SidecarConfig
from exporter.metrics import families
from exporter.run_folder import write_process_record
from tests.exporter.accelerators.stand_in import GIB, card, install, loads
from tests.fakes import wait_for

REPORT = 'trainer_info{peer_id="Qm",nickname="a",model="tiny",device="%s"} 1\n'
LIGHT = """
import pathlib, sys, time
from exporter.collectors import discover
from exporter.config import SidecarConfig
collector = discover(SidecarConfig(run_dir=pathlib.Path(sys.argv[1])))["accelerator"]
assert collector.collect(time.time()) == []
print(*(name for name in sys.modules if "accelerators" in name or name in ("pynvml", "plistlib", "ctypes")))
"""


def test_a_device_and_the_peers_share_of_it_are_samples() -> None:
    values = {"power_watts": 310.0, "energy_joules_total": 5.0}
    found = PeerReading(
        (
            Device("GPU-a", "RTX", "", values, {"power": 1.0}, {"13": 99.0}, (Process(7),)),
            Device("GPU-b", "RTX", "lost"),
        ),
        {"GPU-a": Share(2.0, 0.5)},
        True,
    )
    samples = list(describe(found))
    assert families(samples), "each name is in the table"
    assert {(one.name, *one.labels.values()): one.value for one in samples} == {
        ("accelerator_up", "GPU-a", "RTX"): 1,
        ("accelerator_power_watts", "GPU-a"): 310,
        ("accelerator_energy_joules_total", "GPU-a"): 5,
        ("accelerator_throttled", "GPU-a", "power"): 1,
        ("accelerator_xid_timestamp_seconds", "GPU-a", "13"): 99,
        ("accelerator_up", "GPU-b", "RTX"): 0,
        ("accelerator_problem", "GPU-b", "lost"): 1,
        ("accelerator_process_memory_bytes", "GPU-a"): 2,
        ("accelerator_process_utilization_ratio", "GPU-a"): 0.5,
        ("accelerator_busy",): 1,
    }


def test_a_machine_without_an_accelerator_loads_nothing_for_it(tmp_path: Path) -> None:
    write_process_record(tmp_path)
    (tmp_path / "trainer.prom").write_text(REPORT % "cpu")
    done = subprocess.run([sys.executable, "-c", LIGHT, tmp_path], capture_output=True, text=True, check=True)
    loaded = {name.rpartition(".")[2] for name in done.stdout.split()}
    assert loaded == {"accelerators", "peer", "presence", "reading"}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["process.json", "trainer.prom"]


@pytest.fixture
def machine_with_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SidecarConfig:
    """The sidecar of this very process as a trainer, beside a stand-in of the library."""
    install(tmp_path / "library", card())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "library"))
    (tmp_path / "peers" / "a").mkdir(parents=True)
    config = SidecarConfig(run_dir=tmp_path / "peers" / "a")
    write_process_record(config.run_dir)
    peer = PeerAccelerator(config.run_dir, config.reports_cpu, find_kind=lambda: "nvidia")
    config.__dict__["accelerator"] = peer
    return config


def test_the_trainers_device_decides_whether_a_card_is_asked(
    tmp_path: Path, machine_with_a_card: SidecarConfig
) -> None:
    collector = Collector.configured(machine_with_a_card)
    report = machine_with_a_card.run_dir / "trainer.prom"
    assert collector.collect(1.0) == [], "it has not said what it uses"
    report.write_text(REPORT % "cpu")
    assert collector.collect(2.0) == []
    assert loads(tmp_path / "library") == 0
    report.write_text(REPORT % "cuda")
    found = wait_for(lambda: collector.collect(time.time()), 30, "samples of the card", every=0.02)
    assert {one.value for one in found if one.name == "accelerator_memory_used_bytes"} == {20 * GIB}
