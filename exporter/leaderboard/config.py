"""The configuration of the leaderboard service."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from exporter.files import yaml_text
from exporter.files.file_model import FileModel
from exporter.serving.listen_address import split_listen
from trainer.multiaddr import check_peer_address
from trainer.protocol import MAX_SHARDS, check_peer_id
from trainer.sealing import Members


def _is_address(value: str) -> str:
    split_listen(value)
    return value


PeerId = Annotated[str, AfterValidator(check_peer_id)]
Nickname = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class LeaderboardConfig(FileModel):
    """Which swarm is read, where its board is kept and served, and what bounds it."""

    listen: Annotated[str, AfterValidator(_is_address)] = "127.0.0.1:8700"
    allowed_hosts: tuple[str, ...] = Field(default=(), description="further host names that requests may have")
    database: Path
    initial_peers: list[Annotated[str, AfterValidator(check_peer_address)]] = Field(min_length=1)
    identity_path: Path | None = None
    signed: bool = Field(default=False, description="count only records that their owner signed")
    leaders: list[PeerId] = Field(default_factory=list, description="peers that may lead a signed swarm")
    shards: int = Field(default=1, ge=1, le=MAX_SHARDS, description="keys over which the swarm's rewards are spread")
    members: list[PeerId] = Field(default_factory=list, description="peers of a signed swarm; empty: all that sign")
    poll_interval_seconds: float = Field(default=10.0, ge=0.2, le=3600)
    names: dict[PeerId, Nickname] = Field(default_factory=dict)
    max_peers: int = Field(default=5000, ge=1, le=20_000)
    max_stage_reward: float = Field(default=1e6, gt=0, le=1e12)
    stale_after_seconds: float = Field(default=300.0, gt=0)

    @property
    def swarm_members(self) -> Members:
        """Who may write to a signed swarm."""
        return Members(tuple(self.leaders), frozenset(self.members))


def load(path: Path) -> LeaderboardConfig:
    """The configuration in `path`. Raises ValueError with one line that names file, key and reason."""
    try:
        return LeaderboardConfig.model_validate(yaml_text.load(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}") from None
