"""The chain source reads a real EVM node: contracts compiled here, JSON-RPC on loopback."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from exporter.chain.coordinator import CHAIN_ID, CONTRACTS, MULTICALL
from exporter.chain.rpc import BACK_OFF_SECONDS
from exporter.leaderboard.last_values import LastValues
from exporter.sources import SourceError, Standing, check_options
from exporter.sources.chain import Source
from tests.exporter.sources.evm_node import Node, RpcServer, compile_coordinator, compile_multicall

PEERS = [f"Qm{number:044d}".replace("0", "z") for number in range(100)]
ALFA, BRAVO, CHARLIE = PEERS[:3]


class Chain(NamedTuple):
    node: Node
    service: RpcServer
    spare: RpcServer
    multicall: str
    contract: str
    reduced: str  # without getTotalWins

    def source(self, *services: RpcServer, **options: object) -> Source:
        contracts = options.pop("contracts", {"swarm": self.contract})
        urls = [service.url for service in services or (self.service,)]
        return Source(contracts, rpc=urls, multicall=self.multicall, **options)  # type: ignore[arg-type]

    def reward(self, peer_id: str, amount: int) -> None:
        self.node.send(self.contract, "submitReward(string,int256)", peer_id, amount)


@pytest.fixture(scope="module")
def built() -> Iterator[Chain]:
    node = Node()
    contracts = [node.deploy(code) for code in (compile_coordinator(), compile_coordinator(without="getTotalWins"))]
    multicall = node.deploy(compile_multicall())
    node.send(contracts[0], "registerPeer(string)", ALFA)
    service, spare = RpcServer(node, CHAIN_ID), RpcServer(node, CHAIN_ID)
    yield Chain(node, service, spare, multicall, *contracts)
    service.close()
    spare.close()


@pytest.fixture
def chain(built: Chain) -> Iterator[Chain]:
    """The chain as it was built, whatever the test before did."""
    snapshot = built.node.chain.take_snapshot()
    built.node.mine()
    yield built
    built.node.chain.revert_to_snapshot(snapshot)
    for service in (built.service, built.spare):
        service.answer, service.chain_id, service.hide_blocks = None, CHAIN_ID, 0
        service.methods.clear()


def read_one(chain: Chain, source: Source, peer_id: str = ALFA) -> Standing:
    (standing,) = source.read([peer_id], chain.node.now())
    return standing


def test_a_registered_peer_has_an_account_and_another_none(chain: Chain) -> None:
    account = chain.node.accounts[0]
    chain.node.send(chain.contract, "registerPeer(string)", BRAVO)
    chain.node.mine()

    alfa, charlie = chain.source().read([ALFA, CHARLIE], chain.node.now())

    assert (alfa.is_listed, alfa.account, alfa.account_peers) == (True, account.lower(), (ALFA, BRAVO))
    assert (charlie.is_listed, charlie.account, charlie.account_peers, charlie.reward) == (False, None, None, 0)


def test_rewards_rise_and_fall_and_are_negative(chain: Chain) -> None:
    source = chain.source()
    seen = []
    for amount in (7, -3, -9):
        chain.reward(ALFA, amount)
        chain.node.mine()
        seen.append(read_one(chain, source).reward)

    assert seen == [7, 4, -5]


def test_round_wins_and_participation_are_read_and_no_rank_is_invented(chain: Chain) -> None:
    chain.node.send(chain.contract, "advance(uint256,uint256)", 1234, 2)
    for _ in range(3):
        chain.node.send(chain.contract, "submitWinner(string,string)", BRAVO, ALFA)
    chain.node.mine()

    alfa, bravo = chain.source().read([ALFA, BRAVO], chain.node.now())

    assert (alfa.round, alfa.stage, alfa.wins, alfa.participation) == (1234, 2, 0, 3)
    assert (bravo.wins, bravo.participation) == (3, 0)
    assert (alfa.rank, alfa.ranked_peers, alfa.stage_reward) == (None, None, None)


def test_a_function_that_was_removed_costs_only_its_own_value(chain: Chain) -> None:
    chain.node.send(chain.reduced, "registerPeer(string)", ALFA)
    chain.node.send(chain.reduced, "submitReward(string,int256)", ALFA, 4)
    chain.node.mine()

    standing = read_one(chain, chain.source(contracts={"swarm": chain.reduced}))

    assert (standing.wins, standing.reward, standing.participation, standing.is_listed) == (None, 4, 0, True)


def test_each_contract_keeps_its_own_standing(chain: Chain) -> None:
    chain.reward(ALFA, 5)
    chain.node.send(chain.reduced, "registerPeer(string)", ALFA)
    chain.node.send(chain.reduced, "submitReward(string,int256)", ALFA, 8)
    chain.node.mine()

    standings = chain.source(contracts={"old": chain.contract, "new": chain.reduced}).read([ALFA], chain.node.now())

    assert [(standing.contract, standing.reward) for standing in standings] == [("old", 5), ("new", 8)]


def test_a_reorganisation_of_the_newest_block_shows_nothing_that_is_undone(chain: Chain) -> None:
    source = chain.source()
    fork = chain.node.chain.take_snapshot()
    chain.reward(ALFA, 7)
    before = read_one(chain, source).reward
    chain.node.chain.revert_to_snapshot(fork)
    chain.reward(ALFA, 2)
    chain.node.mine()

    assert before == 0
    assert read_one(chain, source).reward == 2


def test_a_deeper_reorganisation_is_followed_at_the_next_read(chain: Chain) -> None:
    source = chain.source()
    fork = chain.node.chain.take_snapshot()
    chain.reward(ALFA, 7)
    chain.node.mine()
    before = read_one(chain, source).reward
    chain.node.chain.revert_to_snapshot(fork)
    chain.node.mine(3)

    assert before == 7
    assert read_one(chain, source).reward == 0


def test_a_hundred_peers_take_four_requests_and_later_three(chain: Chain) -> None:
    source = chain.source()

    first = source.read(PEERS, chain.node.now())
    methods = list(chain.service.methods)
    chain.service.methods.clear()
    again = source.read(PEERS, chain.node.now())

    assert [standing.peer_id for standing in first] == PEERS
    assert methods == ["eth_chainId", "eth_getBlockByNumber", "eth_call", "eth_call"]
    assert chain.service.methods == ["eth_getBlockByNumber", "eth_call", "eth_call"]
    assert again == first


def test_a_hundred_peers_at_two_contracts_take_no_more(chain: Chain) -> None:
    source = chain.source(contracts={"old": chain.contract, "new": chain.reduced})

    assert len(source.read(PEERS, chain.node.now())) == 200
    assert source.rpc.calls == 4


def test_where_one_service_is_down_the_next_is_asked_and_stays_first(chain: Chain) -> None:
    source = Source(
        {"swarm": chain.contract}, rpc=["http://127.0.0.1:1/key", chain.service.url], multicall=chain.multicall
    )

    assert read_one(chain, source).is_listed
    calls = source.rpc.calls
    assert read_one(chain, source).is_listed
    assert source.rpc.calls == calls + 3


def test_where_all_services_are_down_the_last_values_stay(chain: Chain) -> None:
    chain.reward(ALFA, 7)
    chain.node.mine()
    values = LastValues(chain.source(chain.service, chain.spare))
    begin = chain.node.now()
    good = values.read([ALFA], begin)
    chain.service.answer = chain.spare.answer = (502, "text/html", b"<h1>Bad gateway</h1>")

    bad = values.read([ALFA], begin + 120)

    assert (good.is_up, bad.is_up, bad.success_at) == (True, False, begin)
    assert bad.standings == good.standings
    assert bad.standings[0].reward == 7
    assert bad.problem is not None
    assert bad.problem.count("answers 502 text/html to eth_") == 2
    assert "\n" not in bad.problem
    assert "api-key" not in bad.problem


@pytest.mark.parametrize(
    "answer",
    [
        (429, "text/plain", b"slow down"),
        (200, "application/json", b'{"id": 1, "error": {"code": -32005, "message": "limit exceeded"}}'),
        (200, "application/json", b'{"id": 1, "error": {"code": 429, "message": "compute units per second"}}'),
        (200, "application/json", b'{"id": 1, "error": {"code": -32016, "message": "Over rate limit"}}'),
        (200, "application/json", b'{"id": 1, "error": "Too Many Requests"}'),
    ],
)
def test_a_service_that_asks_for_fewer_requests_is_left_alone_longer_and_longer(
    chain: Chain, answer: tuple[int, str, bytes]
) -> None:
    source = chain.source(max_block_age_seconds=86400)
    begin = chain.node.now()
    chain.service.answer = answer

    asked_at = []
    for seconds in range(0, 1000, 60):
        calls = source.rpc.calls
        with pytest.raises(SourceError):
            source.read([ALFA], begin + seconds)
        if source.rpc.calls > calls:
            asked_at.append(seconds)

    assert asked_at == [0, 2 * BACK_OFF_SECONDS, 6 * BACK_OFF_SECONDS, 14 * BACK_OFF_SECONDS]
    chain.service.answer = None
    assert source.read([ALFA], begin + 2000)


def test_meanwhile_the_other_service_is_asked(chain: Chain) -> None:
    source = chain.source(chain.service, chain.spare)
    chain.service.answer = (429, "text/plain", b"")

    assert read_one(chain, source).is_listed
    assert len(chain.service.methods) == 1
    assert read_one(chain, source).is_listed
    assert len(chain.service.methods) == 1


def test_a_wrong_chain_is_named_with_both_numbers(chain: Chain) -> None:
    chain.service.chain_id = 1

    with pytest.raises(SourceError, match=rf"^http://127\.0\.0\.1:\d+: serves chain 1, not {CHAIN_ID}; correct rpc"):
        chain.source().read([ALFA], chain.node.now())
    assert read_one(chain, chain.source(chain.service, chain.spare)).is_listed


def test_a_service_that_is_stuck_is_not_believed(chain: Chain) -> None:
    with pytest.raises(SourceError, match="its newest block was made 30 min ago"):
        chain.source().read([ALFA], chain.node.now() + 1800)


def test_a_block_from_the_future_is_not_believed(chain: Chain) -> None:
    with pytest.raises(SourceError, match="its newest block is 30 min ahead of this clock"):
        chain.source().read([ALFA], chain.node.now() - 1800)


def test_a_service_that_lies_behind_another_takes_no_reward_away(chain: Chain) -> None:
    source = chain.source(chain.service, chain.spare)
    chain.node.chain.time_travel(int(chain.node.now()) + 600)
    chain.reward(ALFA, 7)
    chain.node.mine()
    assert read_one(chain, source).reward == 7
    chain.service.answer, chain.spare.hide_blocks = (500, "text/plain", b""), 3

    with pytest.raises(SourceError, match="s behind one seen before"):
        source.read([ALFA], chain.node.now())


def test_a_chain_without_multicall_is_named(chain: Chain) -> None:
    source = Source({"swarm": chain.contract}, rpc=[chain.service.url], multicall=MULTICALL)

    with pytest.raises(SourceError, match=f"no Multicall3 at {MULTICALL} on this chain; set multicall to its address"):
        source.read([ALFA], chain.node.now())


def test_an_address_without_the_swarms_contract_is_named_and_the_others_are_read(chain: Chain) -> None:
    source = chain.source(contracts={"0.3": CONTRACTS["0.3"], "swarm": chain.contract})

    with pytest.raises(SourceError, match=r"^0\.3: answers no function of the swarm's contract; correct ver") as caught:
        source.read([ALFA], chain.node.now())
    assert [(standing.contract, standing.is_listed) for standing in caught.value.standings] == [("swarm", True)]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((200, "text/html", b"<html>welcome</html>"), "answers 200 text/html to eth_chainId, not JSON-RPC"),
        ((200, "application/json", b"[" * 100_000), "not JSON-RPC"),
        ((200, "application/json", b"[]"), "not JSON-RPC"),
        ((200, "application/json", b'{"id": 7, "result": "0x1"}'), "without its result"),
        ((200, "application/json", b'{"id": 1, "result": "0xzz"}'), "'0xzz' is no number"),
        ((200, "application/json", b'{"id": 1, "result": {"a": 1}}'), "is no number"),
        ((200, "application/json", b'{"id": 1, "result": "0x-1"}'), "'0x-1' is no number"),
        ((401, "application/json", b'{"error": {"message": "no\\nkey <b>"}}'), "eth_chainId: no key <b>"),
        ((401, "application/json", b'{"error": {"message": "api-key is no key"}}'), "eth_chainId: … is no key"),
        ((200, "application/json", b" " * (5 << 20)), "too large"),
    ],
)
def test_what_is_no_answer_is_a_failed_read_in_one_line(
    chain: Chain, answer: tuple[int, str, bytes], problem: str
) -> None:
    chain.service.answer = answer

    with pytest.raises(SourceError) as caught:
        chain.source().read([ALFA], chain.node.now())

    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_service_is_asked_once_a_minute_at_most(chain: Chain) -> None:
    values = LastValues(chain.source(interval_seconds=60))
    begin = chain.node.now()

    for seconds in range(120):
        values.read([ALFA], begin + seconds)

    assert chain.service.methods.count("eth_getBlockByNumber") == 2


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "version: is missing; name that of rl-swarm, such as 0.6.4, or contracts"),
        ({"version": "9"}, "version: '9' is no release whose contract is known"),
        ({"version": "0.6", "contracts": "0.5"}, "contracts: version says them already"),
        ({"contracts": ["0.5", "main"]}, "contracts: 'main' is neither an address nor one of 0.3,"),
        ({"contracts": "0x12"}, "contracts: '0x12' is no address; one is 0x and 40 hexadecimal digits"),
        ({"contracts": ["0.5", "0.5"]}, "contracts: has one of its values twice"),
        ({"version": 0.6, "rpc": "alchemy"}, "rpc: is not a URL; write one such as https://"),
        ({"version": 0.6, "rpc": []}, "rpc: is not a list of 1 to 16 texts"),
        ({"version": 0.6, "chain_id": "685685"}, "chain_id: '685685' is not a whole number from 1"),
        ({"version": 0.6, "multicall": "multicall"}, "multicall: 'multicall' is no address"),
        (
            {"version": 0.6, "interval_seconds": 10},
            "interval_seconds: '10' is not a number from 60 to 86400",
        ),
        ({"version": 0.6, "confirmations": -1}, "confirmations: '-1' is not a whole number from 0 to 1000"),
        (
            {"version": 0.6, "url": "https://x"},
            "url: unknown option; the options are version, contracts",
        ),
    ],
)
def test_a_wrong_option_is_named_in_one_line(options: dict[str, object], problem: str) -> None:
    found = check_options("chain", options)

    assert found is not None
    assert found.startswith(f"chain: {problem}")
    assert "\n" not in found


@pytest.mark.parametrize("options", [{"version": 0.6}, {"version": "v0.4.3"}, {"contracts": ["0.7", "0x" + "1" * 40]}])
def test_options_that_fit(options: dict[str, object]) -> None:
    assert check_options("chain", options) is None


@pytest.mark.bench
def test_how_long_a_hundred_peers_take(chain: Chain) -> None:
    source = chain.source()
    begin = time.perf_counter()
    source.read(PEERS, chain.node.now())
    seconds = time.perf_counter() - begin
    print(f"chain source: 100 peers in {source.rpc.calls} requests, {seconds:.2f} s with py-evm answering")
    assert source.rpc.calls <= 5
