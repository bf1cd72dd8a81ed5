"""No key that two peers use, no folder that two trainers log into."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site
from trainer.swarm.identity import read_peer_id


def examine(site: Site) -> Iterator[Finding]:
    findings = [*_one_identity(site), *_one_log_folder(site)]
    yield from findings
    if not findings:
        yield ok("every peer has an identity and a log folder of its own")


def _one_identity(site: Site) -> Iterator[Finding]:
    users: dict[str, dict[Path, str]] = defaultdict(dict)
    running = defaultdict(list)
    for path, title in _identity_files(site):
        try:
            peer_id = read_peer_id(path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            yield failure(
                f"{title}: {getattr(error, 'strerror', None) or error}", f"put the peer's own key back as {path}"
            )
            continue
        users[peer_id][path.resolve()] = title
    for trainer in site.trainers:
        if trainer.identity is not None:
            running[trainer.identity.resolve()].append(trainer.title)
    for peer_id, files in users.items():
        titles = [title for path, title in files.items() for title in (running.get(path) or [title])]
        if len(titles) > 1:
            yield failure(
                f"{' and '.join(sorted(titles))} share one identity, {peer_id}: the swarm accepts only one",
                "give each peer its own key; delete the copy, and Peerwatch creates a new one",
            )


def _identity_files(site: Site) -> list[tuple[Path, str]]:
    folder = site.loaded.folder
    ours = [(folder.peer(peer.name) / "identity.pem", f"peer {peer.name}") for peer in site.loaded.ours]
    known = {path.resolve() for path, _ in ours}
    others = {
        one.identity.resolve(): one.title
        for one in site.trainers
        if one.identity and one.identity.resolve() not in known
    }
    return [*ours, *others.items()]


def _one_log_folder(site: Site) -> Iterator[Finding]:
    writers = defaultdict(list)
    for trainer in site.trainers:
        if trainer.log_folder is not None:
            writers[trainer.log_folder.resolve()].append(f"{trainer.title} (pid {trainer.pid})")
    for folder, titles in writers.items():
        if len(titles) > 1:
            yield warning(
                f"{' and '.join(titles)} write into {folder}: their logs are mixed",
                "run each in its own folder",
            )
