"""A lock that is taken is told from a disk on which nothing can be locked."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from exporter.files.file_lock import LockTakenError, NoLocksError, check_locks, find_lock_problem, locked


def test_a_lock_is_held_once_and_its_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with locked(path):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(LockTakenError), locked(path):
            pass
    with locked(path):
        pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_what_a_disk_without_locks_says_is_not_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """NFS without a lock daemon says ENOLCK, FUSE ENOSYS, SMB and 9p EOPNOTSUPP."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    remedy = r"cannot be locked.*set `state_dir` to a folder on a local disk"
    with pytest.raises(NoLocksError, match=remedy), locked(tmp_path / "a.lock"):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(fcntl, "lockf", refuse)
    assert str(tmp_path) in find_lock_problem(tmp_path)
    with pytest.raises(NoLocksError):
        check_locks(tmp_path)


def test_a_local_disk_has_locks(tmp_path: Path) -> None:
    assert find_lock_problem(tmp_path) == ""
