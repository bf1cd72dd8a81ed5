"""A save that cannot take place costs the checkpoint, not the run, and is reported until one succeeds."""

import errno
import logging
from pathlib import Path

import pytest

from trainer.checkpoints import find_latest
from trainer.saving import Checkpoints

MIB = 2**20


class Reports:
    """What the telemetry was notified of."""

    def __init__(self) -> None:
        self.paused: list[bool] = []
        self.saved = 0

    def checkpoint_saved(self) -> None:
        self.saved += 1

    def set_checkpoints_paused(self, is_paused: bool) -> None:
        self.paused.append(is_paused)


class Disk:
    """A disk with so many bytes left."""

    def __init__(self, free: int) -> None:
        self.free = free

    def measure(self, folder: Path) -> int:
        return self.free


def make(folder: Path, disk: Disk, reports: Reports, keep: int | None = 2) -> Checkpoints:
    return Checkpoints(
        folder, model="tiny", keep=keep, least_free_bytes=100 * MIB, telemetry=reports, measure_free=disk.measure
    )


def save(checkpoints: Checkpoints, folder: Path, step: int, error: Exception | None = None) -> None:
    with checkpoints.writing(step):
        (folder / f"checkpoint-{step}").mkdir(parents=True)
        (folder / f"checkpoint-{step}" / "model.safetensors").write_bytes(b"w" * 3 * MIB)
        if error:
            raise error


def test_too_little_space_pauses_and_room_resumes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    disk, reports = Disk(101 * MIB), Reports()
    checkpoints = make(tmp_path, disk, reports)
    assert checkpoints.may_save()
    save(checkpoints, tmp_path, 1)

    # The next one takes as much as the last.
    assert not checkpoints.may_save()
    assert not checkpoints.may_save()
    assert checkpoints.is_paused
    disk.free = 104 * MIB
    assert checkpoints.may_save()
    assert checkpoints.is_paused
    save(checkpoints, tmp_path, 2)

    assert (reports.paused, reports.saved) == ([False, True, True, False], 2)
    lines = [record.getMessage() for record in caplog.records if "event=checkpoints" in record.getMessage()]
    assert len(lines) == 2
    assert "free_mib=101 needed_mib=103" in lines[0]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_while_saving_leaves_the_checkpoint_before(tmp_path: Path, error: Exception) -> None:
    reports = Reports()
    checkpoints = make(tmp_path, Disk(2**40), reports)
    save(checkpoints, tmp_path, 1)

    save(checkpoints, tmp_path, 2, error)

    assert find_latest(tmp_path, "tiny") == tmp_path / "checkpoint-1"
    assert not (tmp_path / "checkpoint-2").exists()
    assert checkpoints.is_paused
    save(checkpoints, tmp_path, 3)
    assert not checkpoints.is_paused


def test_another_error_while_saving_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        save(make(tmp_path, Disk(2**40), Reports()), tmp_path, 1, RuntimeError("shapes differ"))


def test_the_last_ones_are_kept(tmp_path: Path) -> None:
    checkpoints = make(tmp_path, Disk(2**40), Reports(), keep=3)
    for step in range(1, 6):
        save(checkpoints, tmp_path, step)

    assert sorted(path.name[-1] for path in tmp_path.iterdir()) == ["3", "4", "5"]
