"""Each peer of a swarm is registered where its rewards count, and they are credited.

It says under which account, on which contract, and since when nothing was credited.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from alerts.durations import describe_duration
from exporter.chain.coordinator import CONTRACTS, SUBMIT_PERIOD_SECONDS, counting_contracts
from exporter.identity.peer_id import read_peer_id
from exporter.leaderboard.changes import CHANGES_FILE, Change, Key, read_changes
from exporter.leaderboard.config import options_of
from exporter.leaderboard.standings import label_sources
from exporter.sources import SourceError, Standing, make_source
from fleet.configuration.sources import CHAIN, complete
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site

# Twice the time after which rewards are submitted.
UNCREDITED_SECONDS = 2 * SUBMIT_PERIOD_SECONDS

_REGISTER = "open rl-swarm's login page with the account that owns the peer and restart the peer: it registers itself"
_IDENTIFY = "set `identity` to its key file, swarm.pem"
_OUT_OF_REACH = "see whether this machine reaches the service, or name others in `rpc` of the source"


def examine(site: Site) -> Iterator[Finding]:
    watches = site.loaded.composition.watches
    swarms = {name: watch["swarm"] for name, watch in watches.items() if watch.get("swarm")}
    leaderboard = site.loaded.composition.leaderboard
    entries = [] if leaderboard is None else leaderboard.sources
    if not any(one["kind"] == CHAIN for one in entries):
        # Nobody else asks the contract that a checkout tells; who runs the doctor wants to know.
        entries = [*entries, *complete((), swarms.values())]
    labels = label_sources([str(one["kind"]) for one in entries])
    chains = {label: options_of(one) for label, one in zip(labels, entries, strict=True) if one["kind"] == CHAIN}
    if not chains:
        yield ok("no peer's contract is known: set `contract` of a peer to learn whether its rewards count")
        return
    peer_ids: dict[str, str] = {}
    for name, swarm in swarms.items():
        try:
            peer_ids[name] = find_peer_id(swarm)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            yield warning(
                f"peer {name}: its peer id is not known: {reason}", "set `identity` to its key file, swarm.pem"
            )
    changes = read_changes(site.loaded.folder.leaderboard / CHANGES_FILE)
    for label, options in chains.items() if peer_ids else ():
        yield from _ask(label, options, {name: (peer_ids[name], swarms[name]) for name in peer_ids}, changes)


def find_peer_id(swarm: Mapping[str, str | None]) -> str:
    """Of the key file as it is now, else as it was known. Raises OSError or ValueError."""
    path, known = swarm.get("identity_path"), swarm.get("peer_id")
    if path:
        return read_peer_id(Path(path))
    if known:
        return known
    raise ValueError("no key file is named")


def _ask(
    label: str,
    options: Mapping[str, Any],
    peers: Mapping[str, tuple[str, Mapping[str, str | None]]],
    changes: Mapping[Key, Change],
) -> Iterator[Finding]:
    now = time.time()
    try:
        standings = _read(options, [peer_id for peer_id, _ in peers.values()], now)
    except SourceError as error:
        yield warning(f"the chain cannot be read: {error}", _OUT_OF_REACH)
        return
    for name, (peer_id, swarm) in peers.items():
        counting = counting_contracts(swarm.get("version"), swarm.get("contract"))
        of_peer = {one.contract or "": one for one in standings if one.peer_id == peer_id}
        known = {contract: changes[key] for contract in of_peer if (key := (label, contract, peer_id)) in changes}
        yield from judge(f"peer {name} ({peer_id})", counting, of_peer, known, now)


def _read(options: Mapping[str, Any], peer_ids: Sequence[str], now: float) -> Sequence[Standing]:
    """What the contracts of the source say, and those of all releases, as a peer may be registered on an old one."""
    source = make_source(CHAIN, options)
    try:
        standings = list(source.read(peer_ids, now))
    except SourceError as error:
        standings = list(error.standings)
        if not standings:
            raise
    read = {one.contract for one in standings}
    others = [name for name in CONTRACTS if name not in read]
    if others and not {"multicall", "chain_id"} & set(options):
        rest = {name: value for name, value in options.items() if name not in ("version", "contracts")}
        try:
            standings += make_source(CHAIN, {**rest, "contracts": others}).read(peer_ids, now)
        except SourceError as error:
            standings += error.standings
    return standings


def judge(
    title: str,
    counting: Sequence[str],
    standings: Mapping[str, Standing],
    changes: Mapping[str, Change],
    now: float,
) -> Iterator[Finding]:
    """The findings of one peer; `counting` are the contracts of its release, none where that is not known."""
    listed = {contract: one for contract, one in standings.items() if one.is_listed}
    mine = {contract: standings[contract] for contract in counting or standings if contract in standings}
    here = {contract: one for contract, one in mine.items() if contract in listed}
    elsewhere = [f"contract {name} under {one.account}" for name, one in listed.items() if name not in mine]
    if not mine:
        yield warning(f"{title}: contract {' and '.join(counting)} cannot be read", _OUT_OF_REACH)
    elif not here:
        where = " and ".join(f"contract {name}" for name in mine)
        old = f"; it is on {' and '.join(elsewhere)}, which does not count for it" if elsewhere else ""
        yield failure(f"{title} is not registered on {where}{old}", _REGISTER)
    for contract, standing in here.items():
        text = f"{title}: {_describe(contract, standing)}"
        idle = _describe_idle(changes.get(contract), now)
        if idle is None:
            yield ok(f"{text}{_describe_credit(changes.get(contract), now)}")
        else:
            yield warning(f"{text}; {idle}", "search its login server's log (yarn.log) for failed submissions")
    if here and not counting:
        yield warning(f"{title}: whether these contracts count is not known", "set `contract` of the peer")


def _describe(contract: str, one: Standing) -> str:
    counted = [
        *([] if one.reward is None else [f"reward {one.reward:g}"]),
        *([] if one.wins is None else [f"{one.wins} wins"]),
        *([] if one.participation is None else [f"{one.participation} rounds voted in"]),
    ]
    others = len(one.account_peers or ()) - 1
    shared = f" with {others} other peer{'s' if others > 1 else ''}" if others > 0 else ""
    return f"registered on contract {contract} under {one.account}{shared}; {', '.join(counted)}"


def _describe_idle(change: Change | None, now: float) -> str | None:
    """Since when nothing was credited, where that is too long."""
    if change is None or change.reward_changed_at is None or now - change.reward_changed_at < UNCREDITED_SECONDS:
        return None
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(change.reward_changed_at))
    is_seen = change.reward_changed_at > change.first_read_at
    return f"nothing credited since {since}" + ("" if is_seen else ", when it was first read, or longer")


def _describe_credit(change: Change | None, now: float) -> str:
    if change is None or change.reward_changed_at is None or change.reward_changed_at <= change.first_read_at:
        return ""
    return f"; last credited {describe_duration(now - change.reward_changed_at)} ago"
