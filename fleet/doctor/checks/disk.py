"""Free space in the state folder; the size of wandb's offline runs."""

from collections.abc import Iterator
from pathlib import Path

import psutil

from alerts.sizes import show_size
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site

SCARCE_BYTES = 1 * 2**30
LOW_BYTES = 5 * 2**30
MUCH_WANDB_BYTES = 5 * 2**30
MAX_FILES = 100_000


def examine(site: Site) -> Iterator[Finding]:
    folder = _nearest(site.loaded.folder.root)
    free = psutil.disk_usage(str(folder)).free
    room = f"{show_size(free)} free for the fleet's files ({folder})"
    if free < SCARCE_BYTES:
        yield failure(room, "free some space, or set state_dir to another disk; a full disk ends training")
    elif free < LOW_BYTES:
        yield warning(room, "free some space, or set state_dir to another disk")
    else:
        yield ok(room)
    for runs in sorted(_wandb_folders(site)):
        size = _size(runs)
        if size > MUCH_WANDB_BYTES:
            yield warning(
                f"wandb's offline runs in {runs} take {show_size(size)}", "delete old ones; nothing uses them"
            )


def _nearest(folder: Path) -> Path:
    """The folder itself, or what of its path exists already."""
    return next(path for path in (folder, *folder.parents) if path.exists())


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
        if path.is_file() and not path.is_symlink():
            total += path.lstat().st_size
    return total
