"""A copy of each peer's identity in the folder `identity_backup`, where the fleet joins somebody else's swarm.

Whoever loses the key loses the rank.
"""

from collections.abc import Iterator
from pathlib import Path

from fleet.doctor.findings import Finding, ok, warning
from fleet.doctor.site import Site

MAX_KEY_BYTES = 1 << 16
MAX_FILES = 10_000


IS_ABOUT_OUR_TRAINERS = True


def examine(site: Site) -> Iterator[Finding]:
    config = site.loaded.config
    assert config is not None
    if not config.swarm.initial_peers:
        yield ok("the fleet is a swarm of its own: its identities need no backup")
        return
    folder = site.loaded.folder
    keys = {peer.name: folder.peer(peer.name) / "identity.pem" for peer in site.loaded.ours}
    keys = {name: path for name, path in keys.items() if path.is_file()}
    if not keys:
        yield ok("no peer has an identity yet")
        return
    if config.identity_backup is None:
        yield warning(
            f"no backup of the identities is configured; a peer that loses {next(iter(keys.values()))} loses its rank",
            "copy them to another disk, and set identity_backup to that folder",
        )
        return
    backup = site.loaded.base / config.identity_backup.expanduser()
    copies = _contents(backup)
    missing = [name for name, path in keys.items() if path.read_bytes() not in copies]
    for name in missing:
        yield warning(
            f"peer {name}: no copy of its identity in {backup}", f"copy {keys[name]} there, readable by you only"
        )
    if not missing:
        yield ok(f"a copy of each identity is in {backup}")


def _contents(folder: Path) -> set[bytes]:
    """The small files in a folder, whatever their names."""
    found = set()
    for index, path in enumerate(folder.rglob("*") if folder.is_dir() else ()):
        if index >= MAX_FILES:
            break
        try:
            if path.is_file() and path.stat().st_size <= MAX_KEY_BYTES:
                found.add(path.read_bytes())
        except OSError:
            continue
    return found
