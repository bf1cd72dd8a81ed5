"""The swarm's contract on its chain: rewards, wins, participation and accounts; the chain tells no rank.

One read is three requests, four the first time: the newest block, all calls for all peers in one Multicall3, and the
peers of their accounts. They are answered by one service, and from one block that has a successor: a reorganisation of
the newest block shows nothing that is then undone. A function that reverts, as removed ones do, costs only its own
value. Each contract keeps its own standing: a sum over contracts would mix what counts with what once did.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from exporter.chain.abi import Function, parse_address
from exporter.chain.coordinator import (
    ACCOUNTS,
    BOOTNODES,
    CHAIN_ID,
    CONTRACTS,
    CURRENT_ROUND,
    CURRENT_STAGE,
    MULTICALL,
    PARTICIPATION,
    PEERS,
    REWARDS,
    RPC_URL,
    WINS,
    contracts_of,
    name_contract,
    read_contract,
)
from exporter.chain.multicall import Call, call_all
from exporter.chain.rpc import Rpc, RpcError, Service, to_number
from exporter.http_client import HttpClient
from exporter.sources import SourceError, Standing
from exporter.sources._answers import read_whole
from exporter.sources._options import SourceOptions
from trainer.multiaddr import check_peer_address
from trainer.protocol import MAX_ROUND, MAX_STAGE, is_peer_id, read_number

TIMEOUT_SECONDS = 10.0
MAX_BYTES = 4 << 20
MIN_INTERVAL_SECONDS = 60.0
# Peers that one request asks the rewards of, which keeps it within what services take.
PEERS_PER_CALL = 100
# How far a service's newest block may lie behind the one that another had: they are never quite alike.
LAG_SECONDS = 60.0
# A block from the future would make every other service look late.
MAX_AHEAD_SECONDS = 600.0

# Beyond any reward, in whatever unit a contract counts.
MAX_REWARD = 1e30

MAX_BOOTNODES = 32

_NO_ACCOUNT = f"0x{0:040x}"
_MAX_ACCOUNT_PEERS = 64


_Values = dict[Function, dict[str, Any]]


class Source:
    """Reads any number of contracts on one chain; remembers the time of the newest block that it has seen."""

    OPTIONS: ClassVar[tuple[str, ...]] = (
        *("version", "contracts", "rpc", "chain_id", "multicall"),
        *("interval_seconds", "confirmations", "max_block_age_seconds"),
    )

    def __init__(
        self,
        contracts: Mapping[str, str],
        *,
        rpc: Sequence[str] = (RPC_URL,),
        chain_id: int = CHAIN_ID,
        multicall: str = MULTICALL,
        interval_seconds: float = 120.0,
        confirmations: int = 1,
        max_block_age_seconds: float = 900.0,
        client: HttpClient | None = None,
    ) -> None:
        self.interval_seconds = interval_seconds
        self.rpc = Rpc(rpc, chain_id, client or HttpClient(timeout_seconds=TIMEOUT_SECONDS, max_bytes=MAX_BYTES))
        self._contracts = contracts
        self._multicall = multicall
        self._confirmations = confirmations
        self._max_block_age_seconds = max_block_age_seconds
        self._newest_at = 0.0

    @classmethod
    def configured(cls, options: Mapping[str, Any]) -> Self:
        """`version` of rl-swarm or `contracts`, by name or address; everything else has a default."""
        given = SourceOptions(options, cls.OPTIONS)
        urls = given.texts("rpc", default=[RPC_URL], example=RPC_URL)
        for url in urls:
            SourceOptions({"rpc": url}, ["rpc"]).url("rpc", example=RPC_URL)
        return cls(
            _read_contracts(given),
            rpc=urls,
            chain_id=given.whole("chain_id", default=CHAIN_ID, least=1, most=2**63),
            multicall=_check_address("multicall", given.text("multicall") or MULTICALL),
            interval_seconds=given.seconds(
                "interval_seconds", default=120, least=MIN_INTERVAL_SECONDS, why="public services limit their users"
            ),
            confirmations=given.whole("confirmations", default=1, least=0, most=1000),
            max_block_age_seconds=given.seconds(
                "max_block_age_seconds", default=900, least=60, why="an older newest block is that of a stuck service"
            ),
        )

    def read(self, peer_ids: Sequence[str], now: float) -> Sequence[Standing]:
        """A standing of each peer on each contract."""
        asked = [peer_id for peer_id in dict.fromkeys(peer_ids) if is_peer_id(peer_id)]
        try:
            return self.rpc.run(lambda service: self._read_with(service, asked, now), now)
        except RpcError as error:
            raise SourceError(str(error)) from None

    def read_bootnodes(self, now: float) -> list[str]:
        """Addresses of peers by which the swarm of the contracts is joined. Raises SourceError where there are none."""

        def ask(service: Service) -> list[tuple[Any, ...] | None]:
            calls = [Call(address, BOOTNODES) for address in self._contracts.values()]
            return call_all(service, self._multicall, calls, self._choose_block(service, now))

        try:
            results = self.rpc.run(ask, now)
        except RpcError as error:
            raise SourceError(str(error)) from None
        told = [address for result in results if result is not None for address in result[0]]
        addresses = [address for address in dict.fromkeys(told) if _is_peer_address(address)][:MAX_BOOTNODES]
        if not addresses:
            raise SourceError(f"contract {', '.join(self._contracts)}: names no peers to join its swarm by")
        return addresses

    def _read_with(self, service: Service, asked: Sequence[str], now: float) -> Sequence[Standing]:
        block = self._choose_block(service, now)
        calls = {name: _plan(address, asked) for name, address in self._contracts.items()}
        results = iter(call_all(service, self._multicall, [call for some in calls.values() for call in some], block))
        values = {name: _gather(some, results) for name, some in calls.items()}
        silent = [name for name in calls if not any(values[name].values())]
        self._add_account_peers(service, values, block)
        standings = [
            _make_standing(peer_id, now, name, values[name])
            for name in calls
            if name not in silent
            for peer_id in asked
        ]
        if silent:
            text = f"{', '.join(silent)}: answers no function of the swarm's contract; correct version or contracts"
            raise SourceError(text, standings)
        return standings

    def _choose_block(self, service: Service, now: float) -> int:
        """The number of the block to read. Raises RpcError where the service is not up to date."""
        newest = service.call("eth_getBlockByNumber", "latest", False)
        if not isinstance(newest, dict):
            raise RpcError(f"{service.host}: has no newest block")
        number, made_at = (to_number(service, newest.get(name)) for name in ("number", "timestamp"))
        if now - made_at > self._max_block_age_seconds:
            raise RpcError(f"{service.host}: its newest block was made {(now - made_at) / 60:.0f} min ago")
        if made_at - now > MAX_AHEAD_SECONDS:
            raise RpcError(f"{service.host}: its newest block is {(made_at - now) / 60:.0f} min ahead of this clock")
        behind = self._newest_at - made_at
        if behind > LAG_SECONDS:
            raise RpcError(f"{service.host}: its newest block is {behind:.0f} s behind one seen before")
        self._newest_at = made_at
        return max(0, number - self._confirmations)

    def _add_account_peers(self, service: Service, values: Mapping[str, _Values], block: int) -> None:
        """The other peers of each account; they are absent where they cannot be had, as nothing else needs them."""
        calls = {}
        for name, found in values.items():
            accounts = sorted(set(found.get(ACCOUNTS, {}).values()) - {_NO_ACCOUNT})
            calls[name] = [Call(self._contracts[name], PEERS, (some,)) for some in _chunks(accounts)]
        everything = [call for some in calls.values() for call in some]
        try:
            results = iter(call_all(service, self._multicall, everything, block))
        except RpcError:
            return
        for name, some in calls.items():
            values[name].update(_gather(some, results))


def _read_contracts(given: SourceOptions) -> dict[str, str]:
    """{name: address}; a contract of no known release is called by its address."""
    version, contracts = (
        given.version("version"),
        given.texts("contracts", default=[], example="0.5", read=read_contract),
    )
    if version and contracts:
        raise ValueError("contracts: version says them already; give one of the two")
    if version:
        try:
            return contracts_of(version)
        except ValueError as error:
            raise ValueError(f"version: {error}") from None
    if not contracts:
        raise ValueError("version: is missing; name that of rl-swarm, such as 0.6.4, or contracts")
    found = {}
    for name in contracts:
        if name not in CONTRACTS and not name.startswith("0x"):
            raise ValueError(f"contracts: {name[:64]!r} is neither an address nor one of {', '.join(CONTRACTS)}")
        found[name_contract(name)] = CONTRACTS.get(name) or _check_address("contracts", name)
    return found


def _check_address(option: str, text: str) -> str:
    try:
        parse_address(text)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None
    return text


def _is_peer_address(text: str) -> bool:
    try:
        check_peer_address(text)
    except ValueError:
        return False
    return True


def _chunks(items: Sequence[str]) -> list[list[str]]:
    return [list(items[start : start + PEERS_PER_CALL]) for start in range(0, len(items), PEERS_PER_CALL)]


def _plan(contract: str, asked: Sequence[str]) -> list[Call]:
    """Everything that one contract is asked."""
    calls = [Call(contract, CURRENT_ROUND), Call(contract, CURRENT_STAGE)]
    calls += [Call(contract, called, (some,)) for some in _chunks(asked) for called in (ACCOUNTS, REWARDS)]
    calls += [Call(contract, called, (peer_id,)) for peer_id in asked for called in (WINS, PARTICIPATION)]
    return calls


def _gather(calls: Sequence[Call], results: Iterator[tuple[Any, ...] | None]) -> _Values:
    """The results by function and by what was asked for; "" where a function has no argument."""
    values: _Values = {}
    for call, result in zip(calls, results, strict=False):
        if result is None:
            continue
        asked = call.arguments[0] if call.arguments else ""
        if isinstance(asked, str):
            values.setdefault(call.function, {})[asked] = result[0]
        elif len(result[0]) == len(asked):
            values.setdefault(call.function, {}).update(zip(asked, result[0], strict=True))
    return values


def _make_standing(peer_id: str, now: float, contract: str, values: _Values) -> Standing:
    def value(called: Function, key: str = peer_id) -> Any:
        return values.get(called, {}).get(key)

    account = value(ACCOUNTS)
    peers = value(PEERS, account)
    return Standing(
        peer_id,
        now,
        contract=contract,
        is_listed=None if account is None else account != _NO_ACCOUNT,
        reward=read_number(value(REWARDS), limit=MAX_REWARD),
        wins=read_whole(value(WINS)),
        participation=read_whole(value(PARTICIPATION)),
        round=read_whole(value(CURRENT_ROUND, ""), most=MAX_ROUND),
        stage=read_whole(value(CURRENT_STAGE, ""), most=MAX_STAGE),
        account=None if account == _NO_ACCOUNT else account,
        account_peers=None if peers is None else tuple(filter(is_peer_id, peers[:_MAX_ACCOUNT_PEERS])),
    )
