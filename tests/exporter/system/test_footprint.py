"""The footprint is read from what each system reports."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from exporter.system.footprint import (
    Footprints,
    Use,
    measure,
    parse_rusage,
    parse_smaps_rollup,
    read_footprint,
    read_shared_files,
    read_swapped,
)

SMAPS_ROLLUP = b"""\
5561e4977000-7ffd0ccfe000 ---p 00000000 00:00 0                          [rollup]
Rss:              911784 kB
Pss:              702299 kB
Pss_Dirty:        700112 kB
Pss_Anon:         690112 kB
Shared_Clean:      12032 kB
Swap:               4096 kB
SwapPss:            2048 kB
Locked:                0 kB
"""

# As rusage_info_v0 of macOS lays it out: UUID, user, system, idle wake-ups, interrupts, page-ins, wired, resident,
# footprint, start, exit.
RUSAGE = bytes(range(16)) + struct.pack(
    "=10Q", 11_871_250, 3_402_125, 24, 1, 812, 0, 4_404_019_200, 9_663_676_416, 72_057_594, 0
)


def test_pss_and_its_share_of_swap_make_the_footprint():
    assert parse_smaps_rollup(SMAPS_ROLLUP) == (702_299 + 2048) * 1024


@pytest.mark.parametrize("text", [b"", b"Rss: 12 kB\n", b"Pss: many kB\n"])
def test_no_pss_is_no_footprint(text):
    with pytest.raises(ValueError, match="no Pss"):
        parse_smaps_rollup(text)


def test_the_physical_footprint_of_macos_is_the_eighth_counter():
    assert parse_rusage(RUSAGE) == 9_663_676_416


def test_a_short_answer_of_macos_is_refused():
    with pytest.raises(ValueError, match="too short"):
        parse_rusage(RUSAGE[:90])


def test_this_process_has_a_footprint_below_its_resident_size():
    footprint = read_footprint(os.getpid())
    assert footprint is not None
    assert footprint > 1 << 20
    if sys.platform == "linux":
        assert footprint <= psutil.Process().memory_info().rss + psutil.Process().memory_full_info().swap + (1 << 20)


def test_what_may_not_be_read_is_absent(tmp_path):
    assert read_footprint(2**22 + 1) is None
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "smaps_rollup").write_text("")
    assert read_footprint(7, proc=tmp_path) is None


def test_a_footprint_is_read_again_once_the_resident_size_moved_or_it_is_old():
    reads = []

    def read(process):
        reads.append(process)
        return Use(float(len(reads)))

    footprints, own = Footprints(read), psutil.Process()
    assert footprints.of(own, now=0.0).bytes == 1.0
    assert footprints.of(own, now=5.0).bytes == 1.0
    held = bytearray(b"x" * own.memory_info().rss)
    assert footprints.of(own, now=10.0).bytes == 2.0
    assert len(held) > 0
    assert footprints.of(own, now=69.0).bytes == 2.0
    assert footprints.of(own, now=71.0).bytes == 3.0


def test_a_footprint_is_read_as_soon_as_it_may_be_and_a_gone_process_is_forgotten():
    uses = iter([Use(5.0, is_resident=True), Use(3.0)])
    footprints, own = Footprints(lambda process: next(uses)), psutil.Process()
    assert footprints.of(own, now=0.0).is_resident
    assert footprints.of(own, now=1.0) == Use(3.0)
    counted = Footprints()
    assert counted.of(own, now=0.0).bytes
    counted.keep([])
    assert not counted._known


def test_the_long_form_of_older_kernels_is_summed(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "smaps").write_text(
        "00400000-00452000 r-xp\nPss:  100 kB\nSwapPss: 4 kB\n00e03000 rw-p\nPss: 20 kB\n"
    )
    assert read_footprint(7, proc=tmp_path) == 124 * 1024


def test_the_resident_size_with_what_is_swapped_out_stands_in(tmp_path):
    own = psutil.Process()
    (tmp_path / str(own.pid)).mkdir()
    # As of another user's process: the status is there, the maps are not.
    (tmp_path / str(own.pid) / "status").write_text("VmRSS:\t  900 kB\nVmSwap:\t    2048 kB\n")
    rss_bytes = own.memory_info().rss
    use = measure(own, proc=tmp_path)
    assert use.is_resident
    assert use.bytes == pytest.approx(rss_bytes + 2048 * 1024, rel=0.2)
    assert read_swapped(own.pid, proc=tmp_path) == 2048 * 1024
    assert read_swapped(own.pid, proc=tmp_path / "none") == 0.0
    assert not measure(own).is_resident
    # As of a sandbox that does not count it.
    (tmp_path / str(own.pid) / "smaps_rollup").write_text("Rss: 900 kB\nPss: 0 kB\n")
    assert measure(own, proc=tmp_path).is_resident


@pytest.mark.skipif(sys.platform != "linux", reason="a zombie's memory is read elsewhere on macOS")
def test_a_zombie_has_no_memory_rather_than_an_unreadable_one():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert measure(psutil.Process(child.pid)) == Use(0.0)
    child.wait()


def test_the_share_of_other_processes_in_mapped_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text("VmRSS:\t  900 kB\nRssFile:\t     183280 kB\n")
    (tmp_path / "7" / "smaps_rollup").write_text("Pss:      436079 kB\nPss_File:          31927 kB\n")

    assert read_shared_files(7, proc=tmp_path) == 1024 * (183280 - 31927)
    assert read_shared_files(8, proc=tmp_path) == 0
