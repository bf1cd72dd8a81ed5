"""Where rank and reward of peers come from, read once per host: every file that does not begin with _ is a source.

A source tells what it knows of each peer in one form, a `Standing`; what it cannot know is absent. It reads at once
and keeps nothing for others: `exporter.leaderboard.last_values` decides when to read again, and what stays after a
failure.
"""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self


@dataclass(frozen=True)
class Standing:
    """What one source says of one peer; None is what it does not say.

    `read_at` is the Unix time of the read. `contract` is the contract's name or address, where rewards are counted on
    several. `is_listed` is whether the source has the peer: on the board, or registered on the chain. `name` is the
    source's own, of letters and spaces. `rank` counts from 1 among `ranked_peers`. `reward` is the sum over all rounds
    and may fall and be negative; `stage_reward` is that of the stage alone, `score` what a source calls so without
    saying what it counts. `participation` counts rounds in which the peer voted. `round` and `stage` are the swarm's.
    `account` owns the peers `account_peers`. `established_rank` is the one among `established_peers`, which have been
    there for long.
    """

    peer_id: str
    read_at: float
    contract: str | None = None
    is_listed: bool | None = None
    is_online: bool | None = None
    name: str | None = None
    rank: int | None = None
    ranked_peers: int | None = None
    reward: float | None = None
    stage_reward: float | None = None
    score: float | None = None
    wins: int | None = None
    participation: int | None = None
    round: int | None = None
    stage: int | None = None
    account: str | None = None
    account_peers: tuple[str, ...] | None = None
    established_rank: int | None = None
    established_peers: int | None = None


class SourceError(Exception):
    """A failed read, in one line; `standings` are those that could be read all the same.

    `is_limit` is True where the service asks for fewer reads.
    """

    def __init__(self, reason: str, standings: Sequence[Standing] = (), *, is_limit: bool = False) -> None:
        super().__init__(reason)
        self.standings = standings
        self.is_limit = is_limit


class Source(Protocol):
    """Reads one service. It is used by one thread.

    Each source is `class Source` in a file of its name. `interval_seconds` is the shortest time between two reads.
    """

    interval_seconds: float
    OPTIONS: ClassVar[tuple[str, ...]]

    @classmethod
    def configured(cls, options: Mapping[str, Any]) -> Self:
        """The source for these options. Opens nothing.

        Raises ValueError with one line that names the option, its value and the remedy.
        """

    def read(self, peer_ids: Sequence[str], now: float) -> Sequence[Standing]:
        """What the source says of these peers, in bounded time and memory. Raises SourceError."""


def list_sources() -> list[str]:
    """The names that a configuration may give a source."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if not name.startswith("_"))


def make_source(name: str, options: Mapping[str, Any]) -> Source:
    """The source of this name. Raises ValueError, one line for a person, where name or options do not fit."""
    known = list_sources()
    if name not in known:
        raise ValueError(f"{str(name)[:64]!r} is no source; the sources are {', '.join(known)}")
    made: Source = importlib.import_module(f"{__name__}.{name}").Source.configured(options)
    return made


def check_options(name: str, options: Mapping[str, Any]) -> str | None:
    """What is wrong with a source's options, in one line that begins with its name; None if nothing. Opens nothing."""
    try:
        make_source(name, options)
    except ValueError as error:
        return f"{name}: {error}" if name in list_sources() else str(error)
    return None
