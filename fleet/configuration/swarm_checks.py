"""What would end an instance of rl-swarm at once, or let two of them disturb each other."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from exporter.identity.peer_id import read_peer_id
from fleet.configuration.load import Loaded
from fleet.configuration.swarm_peers import locate_identity
from fleet.configuration.watched import AttachedPeer, RlSwarmPeer
from fleet.configuration.yaml_lines import Location, Problem
from fleet.rl_swarm.checkout import LOGIN_PORT
from fleet.rl_swarm.login import FOLDER


def find_swarm_problems(loaded: Loaded) -> Iterator[Problem]:
    """Every problem, at the peer's key that has it."""
    seen: dict[Path, str] = {}
    for peer in loaded.peers:
        where = peer.where or ()
        if isinstance(peer.watched, RlSwarmPeer):
            yield from _of_instance(peer.watched, loaded.base, where)
            identity = locate_identity(peer.watched, loaded.base, loaded.folder.peer(peer.name))
        elif isinstance(peer.watched, AttachedPeer) and peer.watched.identity:
            identity = (loaded.base / peer.watched.identity.expanduser()).absolute()
        else:
            continue
        if peer.watched.identity:
            yield from _identity(identity, (*where, "identity"))
        other = seen.setdefault(identity.resolve(), peer.name)
        if other != peer.name:
            yield Problem(
                (*where, "identity"), f"is that of {other} too, and the swarm takes one only; name another file"
            )


def _of_instance(peer: RlSwarmPeer, base: Path, where: Location) -> Iterator[Problem]:
    folder, checkout = peer.locate(base), peer.read_checkout(base)
    if checkout is None:
        yield Problem((*where, "folder"), f"{folder} is no rl-swarm of 0.4 to 0.7; name that of run_rl_swarm.sh")
        return
    if peer.config:
        if not (base / peer.config.expanduser()).is_file():
            yield Problem((*where, "config"), f"no file {base / peer.config.expanduser()}")
    elif checkout.config is None:
        yield Problem((*where, "folder"), f"{folder} has no configuration that its launch script names; set `config:`")
    if not peer.contract and checkout.contract(peer.game) is None:
        yield Problem((*where, "folder"), f"{folder}: its launch script names no contract; set `contract:`")
    if checkout.is_of_stages and peer.login_port != LOGIN_PORT:
        message = f"rl-swarm {checkout.version} asks port {LOGIN_PORT} in its code; leave it out"
        yield Problem((*where, "login_port"), message)
    python = peer.find_python(base)
    if shutil.which(python) is None:
        yield Problem((*where, "python" if peer.python else "folder"), f"no program {python}; set `python:`")
    if not (folder / FOLDER).is_dir() and not peer.account:
        yield Problem((*where, "folder"), f"{folder} has no {FOLDER}, so nobody can log in; set `account:`")


def _identity(path: Path, where: Location) -> Iterator[Problem]:
    try:
        read_peer_id(path)
    except FileNotFoundError:
        yield Problem(where, f"no file {path} yet: rl-swarm makes a new identity at its start", is_warning=True)
    except OSError as error:
        yield Problem(where, f"cannot read {path}: {error.strerror}")
    except ValueError as error:
        yield Problem(where, str(error))
