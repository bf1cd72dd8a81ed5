"""What is written for peers of rl-swarm: who they are in the swarm, and how Peerwatch's own are started."""

import hashlib
from pathlib import Path
from typing import Any

from exporter.chain.coordinator import CONTRACTS
from exporter.identity.peer_id import read_peer_id
from exporter.identity.peer_name import find_words
from fleet.configuration.watched import AttachedPeer, RlSwarmPeer, WatchedPeer
from fleet.rl_swarm.checkout import Checkout, read_checkout
from fleet.state_folder import StateFolder

INSTANCE = "rl-swarm"
START_FILE = "rl-swarm.json"


def locate_identity(peer: RlSwarmPeer, base: Path, run_folder: Path) -> Path:
    """Its key file; not where the instance is, which may be removed and made again."""
    return (base / peer.identity.expanduser()).absolute() if peer.identity else run_folder / "identity.pem"


def describe_swarm(peer: WatchedPeer, base: Path, run_folder: Path) -> dict[str, str]:
    """Who a peer is in its swarm, as far as its files tell now; empty for a peer of none."""
    if isinstance(peer, RlSwarmPeer):
        checkout = peer.read_checkout(base)
        identity: Path | None = locate_identity(peer, base, run_folder)
        contract = peer.contract or (checkout.contract(peer.game) if checkout else None)
    elif isinstance(peer, AttachedPeer):
        given = peer.checkout or peer.find.folder
        checkout = read_checkout(base / given.expanduser()) if given else None
        identity = (base / peer.identity.expanduser()).absolute() if peer.identity else None
        contract = peer.contract
    else:
        return {}
    return identify(identity, contract, checkout)


def identify(identity: Path | None, contract: str | None, checkout: Checkout | None) -> dict[str, str]:
    """What `swarm` holds in a watch file; unknown values are left out."""
    found = {"contract": contract, "identity_path": str(identity) if identity else None}
    found["version"] = checkout.version if checkout else None
    found |= _name(identity, checkout) if identity else {}
    return {name: value for name, value in found.items() if value is not None}


def describe_in_swarm(peer: WatchedPeer, base: Path, folder: StateFolder) -> dict[str, Any]:
    """What a watch file holds besides, or otherwise, for a peer of rl-swarm; empty for any other."""
    run_folder = folder.peer(peer.name)
    swarm = describe_swarm(peer, base, run_folder)
    found: dict[str, Any] = {"swarm": swarm} if swarm else {}
    if isinstance(peer, RlSwarmPeer):
        # Its own log, else what it prints, unless the file names others.
        checkout = peer.read_checkout(base)
        log = checkout.log if checkout else None
        path = run_folder / INSTANCE / log if log else folder.log("peer", peer.name)
        found["progress"] = peer.progress or [{"log": {"path": str(path), "format": "rl_swarm"}}]
        found["folder"] = str(peer.locate(base))
    return found


def describe_start(peer: RlSwarmPeer, base: Path, folder: StateFolder) -> dict[str, Any]:
    """What `fleet.processes.rl_swarm` reads."""
    run_folder, store = folder.peer(peer.name), locate_store(folder, peer.locate(base))
    checkout = peer.read_checkout(base)
    config = base / peer.config.expanduser() if peer.config else checkout.config if checkout else None
    return {
        "name": peer.name,
        "checkout": str(peer.locate(base)),
        "instance": str(run_folder / INSTANCE),
        "store": str(store),
        "identity": str(locate_identity(peer, base, run_folder)),
        "python": peer.find_python(base),
        "account": peer.account,
        "contract": _address(peer.contract) or (checkout.contract(peer.game) if checkout else None) or "",
        "config": str(config) if config else "",
        "model": peer.model or "",
        "game": peer.game,
        "login_port": peer.login_port,
        "arguments": peer.arguments,
        "environment": peer.environment,
        "spacing": peer.spacing,
    }


def locate_store(folder: StateFolder, checkout: Path) -> Path:
    """Where copies of a checkout's log-in lie, and the turns of its instances."""
    return folder.login / hashlib.sha256(str(checkout).encode()).hexdigest()[:16]


def _address(contract: str | None) -> str | None:
    """Of a contract that the file may call by its name."""
    return CONTRACTS.get(contract, contract) if contract else None


def _name(identity: Path, checkout: Checkout | None) -> dict[str, str]:
    try:
        peer_id = read_peer_id(identity)
    except (OSError, ValueError):
        return {}
    words = find_words(checkout.folder) if checkout else None
    return {"peer_id": peer_id} | ({"name": words.name(peer_id)} if words else {})
