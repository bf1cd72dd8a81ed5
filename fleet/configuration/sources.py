"""The section `sources`: where rank and reward of peers in other swarms are read, once for this machine.

Each entry is a kind and its options. `dht` is a swarm's DHT, whose board the leaderboard then keeps; it is joined by
its `initial_peers`, or by those that the contract of a chain tells. The others are the files of `exporter.sources`. A
peer that names its contract names a source, too: the chain.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ConfigDict, Field, field_validator

from exporter.chain.coordinator import counting_contracts, name_contract
from exporter.files.file_model import FileModel
from exporter.sources import list_sources, make_source
from fleet.configuration.watched import WatchedPeer
from fleet.configuration.yaml_lines import Location, Problem
from trainer.multiaddr import check_peer_address

DHT = "dht"
CHAIN = "chain"
_DHT_OPTION = "initial_peers"

# Who a peer is in its swarm, as `exporter.watch_file` reads it.
Swarm = Mapping[str, str | None]


class SourceEntry(FileModel):
    """One source; every other key is an option of its kind."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(description="dht, or a file of exporter/sources")

    @field_validator("kind")
    @classmethod
    def _is_known(cls, value: str) -> str:
        known = sorted((DHT, *list_sources()))
        if value not in known:
            raise ValueError(f"{value[:64]!r} is no source; the sources are {', '.join(known)}")
        return value

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class SourcePlan(NamedTuple):
    """What the leaderboard's process reads for peers in other swarms: keys of its configuration, and their problems."""

    settings: dict[str, Any]
    problems: list[Problem]


def plan_sources(
    sources: Sequence[SourceEntry], watches: Mapping[str, Mapping[str, Any]], *, has_ours: bool
) -> SourcePlan:
    """`watches` are by peer name, as `exporter.watch_file` reads them; `has_ours`: the board is of an own swarm."""
    swarms = {name: watch["swarm"] for name, watch in watches.items() if watch.get("swarm")}
    completed = complete(sources, swarms.values())
    problems = [
        Problem(("sources", *place), message) for place, message in find_mistakes(sources, completed, has_ours=has_ours)
    ]
    if sources and not swarms:
        unread = "no peer says who it is in a swarm, so that nothing is read of it; set its `identity`"
        problems.append(Problem(("sources",), unread, is_warning=True))
    settings = {
        "sources": completed,
        "bootnodes": _find_bootnodes(sources, completed),
        "identities": {name: swarm["identity_path"] for name, swarm in swarms.items() if swarm.get("identity_path")},
        # They have the words of the swarm's names.
        "checkouts": list(dict.fromkeys(watches[name]["folder"] for name in swarms)),
    }
    return SourcePlan(settings, problems)


def needs_service(sources: Sequence[SourceEntry], watched: Iterable[WatchedPeer | None]) -> bool:
    """Whether there is a source to read, by the file or by a peer."""
    return bool(sources) or any(one is not None and one.contract is not None for one in watched)


def list_dht_addresses(sources: Iterable[SourceEntry]) -> list[str]:
    """Peers of the swarm whose DHT is read."""
    found = [one.options.get(_DHT_OPTION) for one in sources if one.kind == DHT]
    return [str(address) for addresses in found if isinstance(addresses, list) for address in addresses]


def _find_bootnodes(sources: Iterable[SourceEntry], completed: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Options of the chain whose contract tells by which peers a DHT is joined; None where the file does, or nobody."""
    if not any(one.kind == DHT and _DHT_OPTION not in one.options for one in sources):
        return None
    chains = ({key: value for key, value in one.items() if key != "kind"} for one in completed if one["kind"] == CHAIN)
    return next((options for options in chains if {"version", "contracts"} & set(options)), None)


def complete(sources: Sequence[SourceEntry], swarms: Iterable[Swarm]) -> list[dict[str, Any]]:
    """The entries as the leaderboard's process takes them: a chain that names no contract has those of the peers."""
    contracts: dict[str, str] = {}
    for swarm in swarms:
        given = swarm.get("contract")
        for name in counting_contracts(swarm.get("version"), given):
            contracts.setdefault(name, given if given is not None and name == name_contract(given) else name)
    entries = [{"kind": one.kind, **one.options} for one in sources if one.kind != DHT]
    if contracts and not any(one["kind"] == CHAIN for one in entries):
        entries.append({"kind": CHAIN})
    return [
        {**one, "contracts": list(contracts.values())}
        if one["kind"] == CHAIN and contracts and not {"version", "contracts"} & set(one)
        else one
        for one in entries
    ]


def find_mistakes(
    sources: Sequence[SourceEntry], completed: Sequence[Mapping[str, Any]], *, has_ours: bool
) -> Iterator[tuple[Location, str]]:
    """(place below `sources`, what is wrong) of each entry that cannot be read; `completed` are those of `complete`."""
    rest = iter(completed)
    seen_dht = False
    for index, one in enumerate(sources):
        if one.kind == DHT:
            if wrong := _judge_dht(one.options, is_told=_find_bootnodes([one], completed) is not None):
                yield (index, *wrong[0]), wrong[1]
            if has_ours:
                yield (index,), "the board is that of this fleet's own swarm; watch peers of another in a second file"
            elif seen_dht:
                yield (index,), "a fleet keeps one board; watch peers of another swarm in a second file"
            seen_dht = True
            continue
        options = {name: value for name, value in next(rest).items() if name != "kind"}
        if mistake := _judge(one.kind, options):
            option, _, message = mistake.partition(": ")
            yield ((index, option), message) if option in one.options else ((index,), mistake)


def find_contract_mistake(contract: str) -> str | None:
    """What is wrong with the contract of a peer."""
    mistake = _judge(CHAIN, {"contracts": [name_contract(contract)]})
    return mistake and mistake.partition(": ")[2]


def _judge(kind: str, options: Mapping[str, Any]) -> str | None:
    """What is wrong with the options, beginning with the option's name; None if nothing."""
    try:
        make_source(kind, options)
    except ValueError as error:
        return str(error)
    return None


def _judge_dht(options: Mapping[str, Any], *, is_told: bool) -> tuple[Location, str] | None:
    for name in options:
        if name != _DHT_OPTION:
            return (name,), f"unknown option; the only one is {_DHT_OPTION}"
    if _DHT_OPTION not in options and is_told:
        return None
    addresses = options.get(_DHT_OPTION)
    if not isinstance(addresses, list) or not addresses:
        return (
            (),
            f"{_DHT_OPTION}: is missing; list addresses of the swarm's peers, or add a chain whose contract tells them",
        )
    for index, address in enumerate(addresses):
        try:
            check_peer_address(str(address))
        except ValueError as error:
            return (_DHT_OPTION, index), str(error)
    return None
