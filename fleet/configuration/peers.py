"""Gives each peer its name, ports, memory limit and threads; pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fleet.configuration.model import FleetConfig, Peer
from fleet.configuration.sources import DHT, needs_service
from fleet.configuration.watched import RlSwarmPeer, WatchedPeer
from fleet.configuration.yaml_lines import Location

# Prometheus runs without authentication, so it listens on loopback only.
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class PeerPlan:
    """One peer's settings from the fleet; `where` is its location in the file, None where the file has only a count."""

    name: str
    trainer_port: int
    sidecar_port: int
    memory_limit_bytes: int | None
    threads: int
    leads: bool
    announce: tuple[str, ...] = ()
    overrides: dict[str, Any] = field(default_factory=dict)
    where: Location | None = None
    # Of a trainer that is not ours; `trainer_port`, `leads` and `announce` then mean nothing, nor does `threads` but of
    # an rl-swarm that Peerwatch runs.
    watched: WatchedPeer | None = None


@dataclass(frozen=True)
class Service:
    """One listening socket of the fleet, with the key of the file that sets its port."""

    title: str
    host: str
    port: int
    where: Location


def plan_peers(config: FleetConfig, cores: int) -> tuple[PeerPlan, ...]:
    """Threads are divided, never multiplied: oversubscribed OpenMP threads spin against each other."""
    listed = config.peers if isinstance(config.peers, list) else [Peer()] * config.peers
    ours = [index for index, peer in enumerate(listed) if isinstance(peer, Peer)]
    run = [peer for peer in listed if isinstance(peer, Peer | RlSwarmPeer)]
    threads = max(1, cores // max(1, len(run)))
    leader = ours[0] if ours and not config.swarm.initial_peers else None
    return tuple(
        PeerPlan(
            name=peer.name or f"{config.fleet}-{index}",
            trainer_port=(peer.trainer_port if isinstance(peer, Peer) else None) or config.ports.trainer + index,
            sidecar_port=peer.sidecar_port or config.ports.sidecar + index,
            memory_limit_bytes=peer.memory_limit or config.memory_limit,
            threads=threads,
            leads=index == leader,
            announce=tuple(peer.announce) if isinstance(peer, Peer) else (),
            overrides=peer.overrides if isinstance(peer, Peer) else {},
            where=("peers", index) if isinstance(config.peers, list) else None,
            watched=None if isinstance(peer, Peer) else peer,
        )
        for index, peer in enumerate(listed)
    )


def our_trainers(peers: Iterable[PeerPlan]) -> tuple[PeerPlan, ...]:
    """The peers whose trainers are Peerwatch's own: only they are in a swarm, with identity and port."""
    return tuple(peer for peer in peers if peer.watched is None)


def has_leaderboard(config: FleetConfig, peers: Iterable[PeerPlan]) -> bool:
    """Whether there is a process that keeps the board of a swarm, or reads sources."""
    watched = [peer.watched for peer in peers]
    return None in watched or needs_service(config.sources, watched)


def has_board(config: FleetConfig, peers: Iterable[PeerPlan]) -> bool:
    """Whether that process keeps a board."""
    return any(peer.watched is None for peer in peers) or any(one.kind == DHT for one in config.sources)


def services(config: FleetConfig, peers: tuple[PeerPlan, ...], *, with_prometheus: bool = False) -> Iterator[Service]:
    """Every socket that the fleet will listen on."""
    if with_prometheus:
        yield Service("Prometheus", LOOPBACK, config.ports.prometheus, ("ports", "prometheus"))
    if has_leaderboard(config, peers):
        yield Service("leaderboard", config.host, config.ports.leaderboard, ("ports", "leaderboard"))
    yield Service("status page", config.page_host, config.ports.alerts, ("ports", "alerts"))
    for peer in peers:
        own = set(config.peers[peer.where[1]].model_fields_set) if peer.where else set()  # type: ignore[index]
        where = peer.where or ()
        trainer = (*where, "trainer_port") if "trainer_port" in own else ("ports", "trainer")
        sidecar = (*where, "sidecar_port") if "sidecar_port" in own else ("ports", "sidecar")
        if peer.watched is None:
            yield Service(f"trainer of {peer.name}", config.swarm.host, peer.trainer_port, trainer)
        yield Service(f"sidecar of {peer.name}", config.host, peer.sidecar_port, sidecar)
    if config.outside is not None:
        for index, peer in enumerate(peers):
            title = f"sidecar of {peer.name} for outside"
            yield Service(title, config.outside.host, config.outside.port + index, ("outside", "port"))
