"""The configuration of the leaderboard service."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator

from exporter.files import yaml_text
from exporter.files.file_model import FileModel
from exporter.identity.peer_id import read_peer_id
from exporter.identity.peer_name import WordLists, find_words
from exporter.leaderboard.standings import label_sources
from exporter.serving.listen_address import split_listen
from exporter.sources import Source, check_options, make_source
from trainer.multiaddr import check_peer_address
from trainer.protocol import MAX_SHARDS, check_peer_id

if TYPE_CHECKING:
    from trainer.sealing import Members

_log = logging.getLogger("leaderboard")


def _is_address(value: str) -> str:
    split_listen(value)
    return value


PeerId = Annotated[str, AfterValidator(check_peer_id)]
Nickname = Annotated[str, StringConstraints(min_length=1, max_length=64)]


def _is_source(value: dict[str, Any]) -> dict[str, Any]:
    """`{kind: chain, version: 0.6.4}`: the kind of a source and its options."""
    if mistake := check_options(str(value.get("kind")), options_of(value)):
        raise ValueError(mistake)
    return value


def _is_chain(value: dict[str, Any]) -> dict[str, Any]:
    if mistake := check_options("chain", value):
        raise ValueError(mistake)
    return value


def options_of(source: dict[str, Any]) -> dict[str, Any]:
    """The options of a source that is written with its kind."""
    return {name: value for name, value in source.items() if name != "kind"}


class LeaderboardConfig(FileModel):
    """Which swarm is read, where its board is kept and served, and what bounds it.

    Without `initial_peers` no board is kept, and only the `sources` are read, unless a contract tells them: that of
    `bootnodes`, which are options of the source `chain`. `identities` are the key files of peers
    that are not ours, by name; `checkouts` are folders of rl-swarm, whose word lists name the swarm's peers.
    """

    listen: Annotated[str, AfterValidator(_is_address)] = "127.0.0.1:8700"
    allowed_hosts: tuple[str, ...] = Field(default=(), description="further host names that requests may have")
    database: Path
    initial_peers: list[Annotated[str, AfterValidator(check_peer_address)]] = Field(default_factory=list)
    bootnodes: Annotated[dict[str, Any], AfterValidator(_is_chain)] | None = None
    sources: list[Annotated[dict[str, Any], AfterValidator(_is_source)]] = Field(default_factory=list, max_length=8)
    identities: dict[Nickname, Path] = Field(default_factory=dict)
    checkouts: list[Path] = Field(default_factory=list)
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

    @model_validator(mode="after")
    def _reads_something(self) -> "LeaderboardConfig":
        if not self.keeps_board and not self.sources:
            raise ValueError("initial_peers: missing; name addresses of the swarm's peers, or sources")
        return self

    @property
    def keeps_board(self) -> bool:
        """Whether there is a swarm whose DHT is read."""
        return bool(self.initial_peers) or self.bootnodes is not None

    def make_sources(self) -> dict[str, Source]:
        """The sources by label."""
        labels = label_sources([str(one["kind"]) for one in self.sources])
        return {
            label: make_source(str(one["kind"]), options_of(one))
            for label, one in zip(labels, self.sources, strict=True)
        }

    def list_watched(self) -> list[str]:
        """Ids of the peers that are not ours, as far as their key files could be read: the sources know them."""
        return [peer_id for peer_id, name in self.names.items() if name in self.identities]

    def find_words(self) -> WordLists | None:
        """The swarm's word lists, from the first checkout that has them."""
        return next((words for folder in self.checkouts if (words := find_words(folder))), None)

    @property
    def swarm_members(self) -> "Members":
        """Who may write to a signed swarm."""
        # It needs packages that only a board needs.
        from trainer.sealing import Members

        return Members(tuple(self.leaders), frozenset(self.members))


def load(path: Path) -> LeaderboardConfig:
    """The configuration in `path`, with the peers of its key files among the names.

    Raises ValueError with one line that names file, key and reason.
    """
    try:
        config = LeaderboardConfig.model_validate(yaml_text.load(path))
        return config.model_copy(update={"names": {**_read_identities(config.identities), **config.names}})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}") from None


def _read_identities(identities: dict[str, Path]) -> dict[str, str]:
    """{peer id: name} of the key files that can be read; the sidecar says why another cannot."""
    found = {}
    for name, path in identities.items():
        try:
            found[read_peer_id(path)] = name
        except (OSError, ValueError) as error:
            _log.warning("peer %s has no name on the board: %s", name, getattr(error, "strerror", None) or error)
    return found
