"""Files with keys, tokens and passwords are closed to other users."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from alerts.config import TOKEN_FILE
from alerts.secret_references import path_of, variables
from fleet.configuration.swarm_peers import locate_store
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site
from fleet.rl_swarm.login import DATA, FILES, FOLDER

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def examine(site: Site) -> Iterator[Finding]:
    problems = [finding for path in sorted(_secret_files(site)) for finding in _judge(path)]
    problems += [finding for checkout in _list_checkouts(site) for finding in _judge_login(checkout)]
    yield from problems
    yield from _folder(site.loaded.folder.root)
    if not problems:
        yield ok("no other user can read the fleet's secrets")


def _judge(path: Path) -> Iterator[Finding]:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        yield warning(f"{path}: {error.strerror}", "make it readable for the user that runs the fleet")
        return
    if facts.st_uid not in (os.getuid(), 0):
        yield failure(
            f"{path} belongs to another user, who can change it", f"make a file of your own: {quote(str(path))}"
        )
    elif facts.st_mode & _OTHERS:
        yield failure(f"other users can read {path}", f"run `chmod 600 {quote(str(path))}`")


def _judge_login(checkout: Path) -> Iterator[Finding]:
    """The log-in of rl-swarm, whose own server writes it for all to read, at each log-in again."""
    for path, closing in (
        *((checkout / DATA / name, f"chmod 700 {quote(str(checkout / DATA))}") for name in FILES),
        (checkout / FOLDER / ".env", f"chmod 600 {quote(str(checkout / FOLDER / '.env'))}"),
    ):
        try:
            is_open = bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)) and not _is_behind_closed_folder(path)
        except OSError:
            continue
        if is_open:
            yield warning(f"other users can read {path}, which holds rl-swarm's log-in", f"run `{closing}`")


def _is_behind_closed_folder(path: Path) -> bool:
    """Whether a folder above it lets no other user pass. Raises OSError."""
    return any(not folder.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH) for folder in path.absolute().parents)


def _list_checkouts(site: Site) -> list[Path]:
    watches = site.loaded.composition.watches.values()
    return sorted({Path(watch["folder"]) for watch in watches if watch.get("swarm") and watch.get("folder")})


def _folder(root: Path) -> Iterator[Finding]:
    if root.is_dir() and root.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield failure(f"other users can write to {root}", f"run `chmod 700 {quote(str(root))}`")


def _secret_files(site: Site) -> set[Path]:
    loaded, folder = site.loaded, site.loaded.folder
    paths = {folder.alerts / "alerts.yaml", folder.alerts / TOKEN_FILE}
    for peer in loaded.peers:
        paths |= {folder.peer(peer.name) / "identity.pem", folder.peer(peer.name) / "trainer.yaml"}
    swarms = (watch.get("swarm") or {} for watch in loaded.composition.watches.values())
    paths |= {Path(path) for swarm in swarms if (path := swarm.get("identity_path"))}
    paths.add(folder.leaderboard / "leaderboard.yaml")
    paths |= {folder.environment_file(group) for group in ("alerts", "peer", "login")}
    paths |= {locate_store(folder, checkout) / name for checkout in _list_checkouts(site) for name in FILES}
    alerts = loaded.composition.alerts
    secrets = [text for _, text in alerts.secrets()] if alerts is not None else []
    paths |= {path for path in map(path_of, secrets) if path is not None}
    machine, push = loaded.composition.machine, loaded.composition.push
    paths |= {path for path in (machine.key, machine.login) if path is not None} if machine else set()
    paths |= {push.login} if push else set()
    if alerts is not None and alerts.tls is not None:
        paths.add(alerts.tls.key)
    # A literal secret in the configuration makes that file secret; the URL of a chain's service may be one.
    has_literal = any(path_of(text) is None and not variables(text) for text in secrets)
    has_rpc = loaded.config is not None and any("rpc" in source.options for source in loaded.config.sources)
    if (has_literal or has_rpc) and Path(loaded.source).is_file():
        paths.add(Path(loaded.source))
    return paths
