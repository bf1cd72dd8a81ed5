"""Which disk the state folder is on, from what Linux, WSL and macOS print; and whether files can be locked there."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from fleet.doctor.checks.filesystem import find_mount, parse_mount, parse_mountinfo
from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages

LINUX = """\
24 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
98 24 0:51 / /home rw,relatime shared:52 - nfs4 nas:/export/home rw,vers=4.2,proto=tcp
99 24 0:52 / /mnt/My\\040Drive rw,nosuid - fuse.sshfs ann@box:/ rw,user_id=1000
"""
WSL = """\
75 66 8:48 / / rw,relatime - ext4 /dev/sdd rw
92 75 0:55 / /mnt/c rw,noatime - 9p C:\\134 rw,dirsync,aname=drvfs;path=C:\\;uid=1000
"""
MACOS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//ann@nas._smb._tcp.local/home on /Volumes/home (smbfs, nodev, nosuid, mounted by ann)
nas:/export on /Volumes/My Share (nfs, nodev, nosuid, automounted)
"""


@pytest.mark.parametrize(
    ("mounts", "folder", "kind", "is_shared"),
    [
        (list(parse_mountinfo(LINUX)), "/home/ann/.local/state", "nfs4", True),
        (list(parse_mountinfo(LINUX)), "/mnt/My Drive/x", "fuse.sshfs", True),
        (list(parse_mountinfo(LINUX)), "/homeless", "ext4", False),
        (list(parse_mountinfo(WSL)), "/mnt/c/Users/ann", "9p", True),
        (list(parse_mountinfo(WSL)), "/home/ann", "ext4", False),
        (list(parse_mount(MACOS)), "/Volumes/home/state", "smbfs", True),
        (list(parse_mount(MACOS)), "/Volumes/My Share/state", "nfs", True),
        (list(parse_mount(MACOS)), "/System/Volumes/Data/Users/ann", "apfs", False),
    ],
)
def test_the_disk_of_a_folder_is_the_deepest_mount(mounts: list, folder: str, kind: str, is_shared: bool) -> None:  # type: ignore[type-arg]
    mount = find_mount(Path(folder), mounts)
    assert mount is not None
    assert (mount.kind, mount.is_shared) == (kind, is_shared)


def test_text_that_is_no_table_of_mounts_is_no_mount() -> None:
    assert list(parse_mountinfo("\nodd - \n1 2 - ext4\n")) == []
    assert list(parse_mount("\nodd\nmap auto_home on\n")) == []
    assert find_mount(Path("/x"), []) is None


def test_a_local_disk_is_ok(examine: Examine) -> None:
    findings = examine("filesystem")
    assert [one.level for one in findings] == [Level.OK], findings
    assert "files can be locked" in findings[0].message


def test_a_disk_without_locks_is_a_failure(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    findings = examine("filesystem")
    assert "cannot be locked (No locks available)" in messages(findings, Level.FAILURE)
    assert findings[0].remedy == "set state_dir to a folder on a local disk"
