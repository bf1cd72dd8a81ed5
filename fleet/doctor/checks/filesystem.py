"""The state folder is on a local disk, where files can be locked.

On a network disk without locks neither the databases nor `up` can tell whether another process uses them.
"""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from exporter.files.file_lock import find_lock_problem
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import ProbeError, Site, run

MOUNTS = Path("/proc/self/mountinfo")
# 9p and drvfs are Windows' disks in WSL; the rest are shared between machines, or come from the host of a virtual one.
_SHARED = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "smb2", "afs", "ncpfs", "coda", "afpfs", "webdav", "davfs", "davfs2"),
    *("9p", "drvfs", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "osxfs", "fakeowner", "ceph", "glusterfs", "lustre"),
    *("gpfs", "beegfs", "ocfs2", "gfs2", "pvfs2", "orangefs", "macfuse", "osxfuse", "ftp"),
}


class Mount(NamedTuple):
    """Where a file system is in the tree, its kind, and what it shows."""

    place: str
    kind: str
    source: str

    @property
    def is_shared(self) -> bool:
        """Whether it is a network's or another machine's; of FUSE, all but a plain local disk."""
        return self.kind in _SHARED or (self.kind.startswith("fuse.") or self.kind == "fuse")


def examine(site: Site) -> Iterator[Finding]:
    folder = nearest(site.loaded.folder.root)
    mount = find_mount(folder.resolve(), read_mounts(site.platform))
    where = f"{folder} is on {mount.source} ({mount.kind})" if mount else str(folder)
    try:
        problem = find_lock_problem(folder)
    except OSError:
        # The disk check names a folder that cannot be written to.
        problem = ""
    if problem:
        yield failure(problem.partition("; ")[0], "set state_dir to a folder on a local disk")
    elif mount is not None and mount.is_shared:
        yield warning(
            f"{where}, which is no local disk: locks and databases may fail on it", "set state_dir to a local disk"
        )
    else:
        yield ok(f"{where}: files can be locked")


def nearest(folder: Path) -> Path:
    """The folder itself, or what of its path exists already."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def read_mounts(platform: str) -> list[Mount]:
    """The mounted file systems; none where the system does not tell."""
    try:
        if platform == "darwin":
            return list(parse_mount(run(["/sbin/mount"])))
        return list(parse_mountinfo(MOUNTS.read_text(errors="replace")))
    except (OSError, ProbeError, subprocess.SubprocessError):
        return []


def parse_mountinfo(text: str) -> Iterator[Mount]:
    """Linux: `36 35 98:0 / /mnt rw,noatime master:1 - ext4 /dev/root rw`, with octal escapes in names."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) >= 5 and len(rest) >= 2:
            yield Mount(_unescape(fields[4]), rest[0], _unescape(rest[1]))


def parse_mount(text: str) -> Iterator[Mount]:
    """macOS: `//ann@nas/home on /Volumes/home (smbfs, nodev, nosuid, mounted by ann)`."""
    for line in text.splitlines():
        names, _, options = line.rpartition(" (")
        source, _, place = names.partition(" on ")
        if place and options:
            yield Mount(place, options.rstrip(")").split(",")[0], source)


def find_mount(folder: Path, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that the folder is on: the deepest, and of those in one place the last."""
    found = [mount for mount in mounts if folder.is_relative_to(mount.place)]
    return max(enumerate(found), key=lambda one: (len(Path(one[1].place).parts), one[0]))[1] if found else None


def _unescape(name: str) -> str:
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        name = name.replace(code, letter)
    return name
