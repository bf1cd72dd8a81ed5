"""The configuration files of a fleet's processes, and how they are written: readable by this user only."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from exporter.files import yaml_text
from exporter.machine.push_file import PUSH_FILE
from exporter.run_folder import write_atomically
from exporter.watch_file import WATCH_FILE
from fleet.configuration.compose import ANY_PEER_ID, Composition
from fleet.configuration.paths import find_folder_mistake
from fleet.configuration.peers import PeerPlan, our_trainers
from fleet.configuration.swarm_peers import START_FILE
from fleet.configuration.watched import RlSwarmPeer
from fleet.state_folder import StateFolder
from trainer.swarm.identity import ensure_identity, read_peer_id

# All sidecars read it.
MACHINE = "machine"


class RunError(Exception):
    """The fleet cannot be started; the text is one line for the user."""


def make_folders(folder: StateFolder, peers: Iterable[PeerPlan]) -> dict[str, str]:
    """Makes the state folder's folders and the peers' identities; the peer id of each peer by name."""
    for path in (folder.root, folder.leaderboard, folder.alerts, folder.push, folder.launches, folder.socket.parent):
        make_private(path)
    peer_ids = {}
    for peer in peers:
        run_folder = folder.peer(peer.name)
        make_private(run_folder)
        if peer.watched is None:
            peer_ids[peer.name] = ensure_identity(run_folder / "identity.pem")
        elif isinstance(peer.watched, RlSwarmPeer) and peer.watched.identity is None:
            # rl-swarm would make one too, but only at its start: so the peer is known before.
            ensure_identity(run_folder / "identity.pem")
            make_private(folder.login)
    return peer_ids


def read_peer_ids(folder: StateFolder, peers: Iterable[PeerPlan]) -> dict[str, str]:
    """The peer id of each peer by name; a placeholder for a peer without an identity."""
    paths = {peer.name: folder.peer(peer.name) / "identity.pem" for peer in our_trainers(peers)}
    return {name: read_peer_id(path) if path.exists() else ANY_PEER_ID for name, path in paths.items()}


def configurations(composition: Composition, folder: StateFolder) -> dict[str, tuple[Path, str]]:
    """The configuration file of each program that has one, by the program's title; that of all sidecars by MACHINE."""
    assert composition.alerts is not None
    found = {
        f"peer:{name}": (folder.peer(name) / "trainer.yaml", to_yaml(trainer.model_dump(mode="json")))
        for name, trainer in composition.trainers.items()
    }
    for name, start in composition.starts.items():
        found[f"peer:{name}"] = (folder.peer(name) / START_FILE, json.dumps(start, indent=1) + "\n")
    for name, watch in composition.watches.items():
        found[f"sidecar:{name}"] = (folder.peer(name) / WATCH_FILE, json.dumps(watch, indent=1) + "\n")
    if composition.leaderboard is not None:
        board = composition.leaderboard.model_dump(mode="json")
        found["leaderboard"] = (folder.leaderboard / "leaderboard.yaml", to_yaml(board))
    if composition.machine is not None:
        found[MACHINE] = (folder.machine, composition.machine.render().decode())
    if composition.push is not None:
        found["push"] = (folder.push / PUSH_FILE, composition.push.render().decode())
    # References to secrets are written as references: the alert loop alone resolves them.
    loop = composition.alerts.model_dump(mode="json")
    found["alerts"] = (folder.alerts / "alerts.yaml", to_yaml(loop))
    return found


def make_private(path: Path) -> None:
    """A folder that only this user can write to. Raises RunError if others can."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mistake = find_folder_mistake(path)
    except OSError as error:
        raise RunError(f"cannot make the folder {path}: {error.strerror}; use --state-dir") from None
    if mistake:
        raise RunError(f"{mistake}; remove it, or use --state-dir")


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes by rename, so that a reader sees the old file or the new one. Raises OSError."""
    write_atomically(path, text.encode(), mode=mode)


def to_yaml(content: Mapping[str, Any]) -> str:
    return yaml_text.dump(content)
