"""The models of `peerwatch.yaml`: the fleet's own keys, and the sections of the other parts.

`trainer`, `leaderboard` and `alerts` stay plain mappings here: `fleet.configuration.compose` adds the fleet's
values (names, ports, folders) to each and validates it with the model of the part that reads it.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from alerts.durations import Duration
from exporter.file_model import FileModel
from trainer.multiaddr import check_multiaddr, check_peer_address

MAX_PEERS = 256

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SIZE = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]+)\s*")
_LARGEST_SIZE = 2**60
_SIZE_UNITS = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


def parse_size(value: object) -> int:
    """Bytes of `4GiB`, `512 MiB`, `4GB`; a number without a unit is refused."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    factor = _SIZE_UNITS.get(match["unit"].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{value!r} is not a size; write it like 4GiB, 512MiB or 4GB")
    size = float(match["number"]) * factor
    if size > _LARGEST_SIZE:
        raise ValueError("is larger than 1 EiB; write it like 4GiB")
    return int(size)


def _is_name(value: str) -> str:
    if not _NAME.fullmatch(value) or not value.strip("."):
        raise ValueError(f"{value!r} is not a valid name; use 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    return value


def check_ipv4(value: str) -> str:
    """Returns a valid address unchanged; raises ValueError with a remedy for any other."""
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ValueError(
            f"{value!r} is not an IPv4 address; use 127.0.0.1 for this machine only, 0.0.0.0 for the network"
        ) from None


Size = Annotated[int, BeforeValidator(parse_size)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
# Names become folders, program names of the service manager and labels.
Name = Annotated[str, AfterValidator(_is_name)]
Address = Annotated[str, AfterValidator(check_ipv4)]
PeerAddress = Annotated[str, AfterValidator(check_peer_address)]


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
    """One peer of a list; every other key overrides the trainer setting of that name."""

    model_config = ConfigDict(extra="allow")

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


Peers = Annotated[
    Annotated[Annotated[int, Field(ge=1, le=MAX_PEERS, strict=True)], Tag("count")]
    | Annotated[Annotated[list[Peer], Field(min_length=1, max_length=MAX_PEERS)], Tag("list")],
    Discriminator(_kind_of_peers),
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
    alerts: dict[str, Any] = Field(default_factory=dict)
    prometheus: Prometheus = Prometheus()
    restart: Restart = Restart()

    @property
    def page_host(self) -> str:
        """The address of the status page: `host` of `alerts`, by default the fleet's."""
        host = self.alerts.get("host")
        return host if isinstance(host, str) else self.host
