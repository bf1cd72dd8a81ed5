"""The models of `peerwatch.yaml`: the fleet's own keys, and the sections of the other parts.

`trainer`, `leaderboard` and `alerts` stay plain mappings here: `fleet.configuration.compose` adds the fleet's
values (names, ports, folders) to each and validates it with the model of the part that reads it.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from alerts.durations import Duration
from exporter.files.file_model import FileModel
from fleet.configuration.elsewhere import Outside, Push, WatchedMachine
from fleet.configuration.sources import SourceEntry
from fleet.configuration.values import Address, Name, PeerAddress, Port, Size
from fleet.configuration.watched import AttachedPeer, CommandPeer, RlSwarmPeer
from trainer.multiaddr import check_multiaddr
from trainer.protocol import MAX_SHARDS, check_peer_id

MAX_PEERS = 256

PeerId = Annotated[str, AfterValidator(check_peer_id)]


class Ports(FileModel):
    """The first port of each service; peer i takes `trainer` + i and `sidecar` + i."""

    trainer: Port = 38331
    sidecar: Port = 9700
    leaderboard: Port = 8700
    alerts: Port = 8750
    prometheus: Port = 9090


class Swarm(FileModel):
    """Which swarm the peers join: without initial peers, one of their own that the first peer leads."""

    initial_peers: list[PeerAddress] = Field(default_factory=list)
    host: Address = "127.0.0.1"
    signed: bool | None = Field(
        default=None, description="count only signed records; null: in a swarm of your own, not in one that you join"
    )
    leaders: list[PeerId] = Field(
        default_factory=list, description="ids of the peers that lead a signed swarm; empty: peers of this file"
    )
    members: list[PeerId] = Field(default_factory=list, description="ids of a signed swarm's peers on other machines")
    shards: int = Field(
        default=1, ge=1, le=MAX_SHARDS, description="keys over which rewards are spread; every peer must have the same"
    )

    @model_validator(mode="after")
    def _check_leaders(self) -> Self:
        if self.signed and self.initial_peers and not self.leaders:
            raise ValueError("signed: in a swarm that you join, name the peers that lead it in `leaders`, as ids")
        return self

    @property
    def is_signed(self) -> bool:
        """Whether the records of the swarm are signed."""
        return not self.initial_peers if self.signed is None else self.signed


class Prometheus(FileModel):
    """The Prometheus of `up --with-prometheus`: scrape interval and retention."""

    scrape_interval: Annotated[Duration, Field(ge=1)] = 15.0
    retention: Annotated[Duration, Field(ge=3600)] = 30 * 86400.0
    retention_size: Size = 2 * 2**30


class Restart(FileModel):
    """When an exited process is restarted, and how many restarts are allowed."""

    first_delay: Duration = 5.0
    longest_delay: Duration = 300.0
    stable_after: Duration = 600.0
    limit: int = Field(default=20, ge=1, le=1000)
    window: Duration = 7200.0


class Peer(FileModel):
    """One trainer of ours in a list; every other key overrides the trainer setting of that name."""

    model_config = ConfigDict(extra="allow")

    kind: Literal["peerwatch"] = "peerwatch"
    name: Name | None = None
    memory_limit: Size | None = None
    trainer_port: Port | None = None
    sidecar_port: Port | None = None
    announce: list[Annotated[str, AfterValidator(check_multiaddr)]] = Field(default_factory=list)

    @property
    def overrides(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def _kind_of_peers(value: object) -> str:
    return "list" if isinstance(value, list) else "count"


def _kind_of_peer(value: object) -> str:
    kind = value.get("kind", "peerwatch") if isinstance(value, dict) else getattr(value, "kind", "peerwatch")
    # An unknown kind is reported at its key, by the model of our own.
    return kind if kind in ("command", "attached", "rl-swarm") else "peerwatch"


AnyPeer = Annotated[
    Annotated[Peer, Tag("peerwatch")]
    | Annotated[CommandPeer, Tag("command")]
    | Annotated[AttachedPeer, Tag("attached")]
    | Annotated[RlSwarmPeer, Tag("rl-swarm")],
    Discriminator(_kind_of_peer),
]


def _no_mapping(value: object) -> object:
    if isinstance(value, dict):
        raise ValueError("should be a number of peers, or a list of them")
    return value


Peers = Annotated[
    Annotated[Annotated[int, Field(ge=0, le=MAX_PEERS, strict=True)], Tag("count")]
    | Annotated[Annotated[list[AnyPeer], Field(max_length=MAX_PEERS)], Tag("list")],
    Discriminator(_kind_of_peers),
    BeforeValidator(_no_mapping),
]


class FleetConfig(FileModel):
    """The whole file."""

    fleet: Name
    state_dir: Path | None = None
    identity_backup: Path | None = Field(default=None, description="folder with copies of the peers' keys")
    host: Address = "127.0.0.1"
    swarm: Swarm = Swarm()
    trainer: dict[str, Any] = Field(default_factory=dict)
    peers: Peers = 1
    memory_limit: Size | None = None
    sidecar_interval: Annotated[Duration, Field(ge=0.2, le=300)] = 5.0
    ports: Ports = Ports()
    leaderboard: dict[str, Any] = Field(default_factory=dict)
    sources: list[SourceEntry] = Field(default_factory=list, max_length=8)
    alerts: dict[str, Any] = Field(default_factory=dict)
    prometheus: Prometheus = Prometheus()
    outside: Outside | None = None
    push: Push | None = None
    watch: list[WatchedMachine] = Field(default_factory=list, max_length=1000)
    restart: Restart = Restart()

    @property
    def page_host(self) -> str:
        """The address of the status page: `host` of `alerts`, by default the fleet's."""
        host = self.alerts.get("host")
        return host if isinstance(host, str) else self.host
