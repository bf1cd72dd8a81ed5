"""Free space in the state folder, which can be written to; the size of wandb's offline runs."""

import contextlib
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from alerts.sizes import show_size
from fleet.doctor.checks.filesystem import nearest
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site

SCARCE_BYTES = 1 * 2**30
LOW_BYTES = 5 * 2**30
MUCH_WANDB_BYTES = 5 * 2**30
MAX_FILES = 100_000


def examine(site: Site) -> Iterator[Finding]:
    folder = nearest(site.loaded.folder.root)
    free = psutil.disk_usage(str(folder)).free
    obstacle = _find_obstacle(folder)
    if obstacle:
        yield failure(
            f"the fleet's files cannot be written to {folder}: {obstacle}", "set state_dir to a folder that is writable"
        )
    room = f"{show_size(free)} free for the fleet's files ({folder})"
    if free < SCARCE_BYTES:
        yield failure(room, "free some space, or set state_dir to another disk; a full disk ends training")
    elif free < LOW_BYTES:
        yield warning(room, "free some space, or set state_dir to another disk")
    elif not obstacle:
        yield ok(room)
    for runs in sorted(_wandb_folders(site)):
        size = _size(runs)
        if size > MUCH_WANDB_BYTES:
            yield warning(
                f"wandb's offline runs in {runs} take {show_size(size)}", "delete old ones; nothing uses them"
            )


def _find_obstacle(folder: Path) -> str:
    """Why no file can be made in the folder: a read-only disk, somebody else's folder, no room; empty if one can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def _wandb_folders(site: Site) -> set[Path]:
    places = {site.loaded.folder.peer(peer.name) for peer in site.loaded.peers}
    for trainer in site.trainers:
        if trainer.log_folder is not None:
            places |= {trainer.log_folder, trainer.log_folder.parent}
    return {place / "wandb" for place in places if (place / "wandb").is_dir()}


def _size(folder: Path) -> int:
    total = 0
    for index, path in enumerate(folder.rglob("*")):
        if index >= MAX_FILES:
            break
        with contextlib.suppress(OSError):  # Deleted meanwhile.
            status = path.lstat()
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total
