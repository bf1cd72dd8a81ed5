"""A recorded process is found again, whatever the clock did; another one with its PID is not."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from exporter.system.process_identity import (
    ProcessIdentity,
    find_process,
    identify,
    is_hidden,
    is_same,
    parse_start_ticks,
)

LINUX = sys.platform == "linux"
# A name may hold what separates the fields.
STAT = (
    b"4242 (python) (tr ainer) S 4241 4242 4242 0 -1 4194304 310 0 0 0 5 2 0 0 20 0 3 0 137045 12345 678 " + b"0 " * 28
)
RECORDED = ProcessIdentity(4242, 1_700_000_000.0, 137_045, "boot-1", "pid:[1]")


def test_the_start_is_field_22_whatever_the_name_holds() -> None:
    assert parse_start_ticks(STAT) == 137_045


@pytest.mark.parametrize("text", [b"", b"4242 (python) S 1 2", b"no stat"])
def test_a_stat_without_a_start_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="no start time"):
        parse_start_ticks(text)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        # The clock was corrected, so that the boot and every start seem to have moved.
        ({"create_time": 1_700_000_003.0}, True),
        ({"create_time": 1_600_000_000.0}, True),
        ({"start_ticks": 137_046}, False),
        # After a reboot another process may have the same PID and ticks.
        ({"boot_id": "boot-2"}, False),
        ({"pid": 4243}, False),
        ({"pid_namespace": "pid:[2]"}, False),
        ({"pid_namespace": None}, True),
    ],
)
def test_ticks_and_boot_decide_where_both_are_known(changes: dict[str, object], same: bool) -> None:
    assert is_same(RECORDED, RECORDED._replace(**changes)) is same  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recorded", "moved", "same"),
    [
        # As earlier releases wrote records, and as macOS has them.
        (ProcessIdentity(4242, 1_700_000_000.0), 1.5, True),
        (ProcessIdentity(4242, 1_700_000_000.0), 2.5, False),
        (ProcessIdentity(4242, 1_700_000_000.0), -60.0, False),
    ],
)
def test_without_ticks_the_start_time_decides_roughly(recorded: ProcessIdentity, moved: float, same: bool) -> None:
    assert is_same(recorded, RECORDED._replace(create_time=RECORDED.create_time + moved)) is same


@pytest.mark.parametrize(
    ("ticks", "moved", "same"),
    [
        # The clock was corrected by less than the machine was up when the process started.
        (RECORDED.start_ticks, 300.0, True),
        (RECORDED.start_ticks, -300.0, True),
        # After a reboot, a process of these ticks starts at least as much later as they measure.
        (RECORDED.start_ticks, 1400.0, False),
        # The PID was used again, soon enough to look alike by the time.
        (137_100, 0.55, False),
        # Of a process that starts with the machine, the time decides as it does without ticks.
        (50, 1.5, True),
        (50, 2.5, False),
    ],
)
def test_ticks_and_time_decide_where_the_boot_is_not_told(ticks: int, moved: float, same: bool) -> None:
    first = RECORDED if ticks >= 1000 else RECORDED._replace(start_ticks=ticks)
    found = first._replace(start_ticks=ticks, create_time=first.create_time + moved, boot_id=None)
    assert is_same(first._replace(boot_id=None), found) is same
    assert is_same(first, found) is same


def test_this_process_is_found_by_its_own_record() -> None:
    recorded = ProcessIdentity.from_record(identify().as_record())
    assert recorded is not None
    assert recorded == identify()
    assert find_process(recorded) == psutil.Process()
    assert (None not in (recorded.start_ticks, recorded.boot_id)) is LINUX


def test_a_record_is_found_under_a_prefix() -> None:
    assert ProcessIdentity.from_record(RECORDED.as_record("other_"), "other_") == RECORDED
    assert ProcessIdentity.from_record(RECORDED.as_record("other_")) is None


@pytest.mark.skipif(not LINUX, reason="ticks are Linux's")
def test_a_record_of_this_process_outlives_a_boot_time_that_moves() -> None:
    own = identify()
    assert find_process(own._replace(create_time=own.create_time + 300)) == psutil.Process()
    assert find_process(own._replace(start_ticks=(own.start_ticks or 0) + 1)) is None
    assert find_process(own._replace(boot_id="another")) is None
    assert find_process(own._replace(pid_namespace="pid:[1]")) is None


@pytest.mark.parametrize(
    "record",
    [
        [],
        {"pid": 1, "create_time": 5, "start_ticks": "7"},
        {"pid": 1, "create_time": 5, "start_ticks": -7},
        {"pid": 1, "create_time": 5, "boot_id": 7},
        {"pid": 1, "create_time": 5, "boot_id": "x" * 5000},
        {"pid": 1.0, "create_time": 5},
        {"create_time": 5},
    ],
)
def test_a_record_of_another_form_is_no_identity(record: object) -> None:
    assert ProcessIdentity.from_record(record) is None


def test_what_the_system_does_not_tell_is_left_out(tmp_path: Path) -> None:
    found = identify(proc=tmp_path)
    assert (found.start_ticks, found.boot_id, found.pid_namespace) == (None, None, None)
    assert sorted(found.as_record()) == ["create_time", "pid"]


def test_on_a_mac_the_kernels_start_time_counts_and_not_psutils_correction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = psutil.Process()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: 1_700_000_300.0)
    monkeypatch.setattr(psutil.Process, "_get_ident", lambda process: (process.pid, 1_700_000_000.0))
    assert identify(own.pid, proc=tmp_path) == ProcessIdentity(own.pid, 1_700_000_000.0)


def test_a_process_of_this_user_is_not_hidden_and_neither_is_one_that_is_gone(tmp_path: Path) -> None:
    assert not is_hidden(os.getpid(), proc=tmp_path)
    assert not is_hidden(2**22 + 1, proc=tmp_path)
    assert not is_hidden(2**70, proc=tmp_path)


def test_a_process_of_another_user_is_hidden_where_its_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the kernel answers to a user who may not signal the process.
    monkeypatch.setattr(os, "kill", _refuse)
    assert is_hidden(4242, proc=tmp_path)
    (tmp_path / "4242").mkdir()
    (tmp_path / "4242" / "stat").write_bytes(STAT)
    assert not is_hidden(4242, proc=tmp_path)
    # macOS shows every process's start, and has no such folder.
    assert not is_hidden(4242, proc=tmp_path / "none")


def _refuse(pid: int, number: int) -> None:
    raise PermissionError
