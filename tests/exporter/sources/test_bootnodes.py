"""The peers by which a swarm's DHT is joined are those of the file, else those that its contract tells."""

from collections.abc import Iterator

import pytest

from exporter.chain.coordinator import CHAIN_ID
from exporter.sources._bootnodes import InitialPeers
from exporter.sources.chain import MAX_BOOTNODES, MIN_INTERVAL_SECONDS
from tests.exporter.sources.evm_node import Node, RpcServer, compile_coordinator, compile_multicall

ADDRESS = "/ip4/10.0.0.7/tcp/38331/p2p/Qm" + "a" * 44


class Chain:
    """A real node with a contract that names some peers, and one that names none."""

    def __init__(self) -> None:
        self.node = Node()
        self.contract, self.silent = (self.node.deploy(compile_coordinator()) for _ in range(2))
        self.multicall = self.node.deploy(compile_multicall())
        for address in (ADDRESS, "<b>/ip4/x", ADDRESS, "/ip4/10.0.0.8/tcp/1/p2p/Qm" + "b" * 44):
            self.node.send(self.contract, "addBootnode(string)", address)
        self.node.mine()
        self.service = RpcServer(self.node, CHAIN_ID)

    def initial_peers(self, contract: str) -> InitialPeers:
        return InitialPeers([], {"contracts": [contract], "rpc": [self.service.url], "multicall": self.multicall})


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    built = Chain()
    yield built
    built.service.close()


def test_a_contract_tells_them_and_what_is_no_address_is_left_out(chain: Chain) -> None:
    peers = chain.initial_peers(chain.contract)
    now = chain.node.now()
    found = peers.find(now)
    assert list(found) == [ADDRESS, "/ip4/10.0.0.8/tcp/1/p2p/Qm" + "b" * 44]
    assert len(found) <= MAX_BOOTNODES
    asked = len(chain.service.methods)
    assert peers.find(now + 9999) == found
    assert len(chain.service.methods) == asked


def test_a_contract_without_any_and_a_service_that_is_down_are_one_line_and_asked_again_later(chain: Chain) -> None:
    now = chain.node.now()
    with pytest.raises(ValueError, match=r"the contract does not tell .*: names no peers to join its swarm by"):
        chain.initial_peers(chain.silent).find(now)
    peers = chain.initial_peers(chain.contract)
    chain.service.answer = (503, "text/html", b"<html>down")
    asked = len(chain.service.methods)
    for second in range(3):
        with pytest.raises(ValueError, match=r"the contract does not tell .*127\.0\.0\.1:\d+: answers 503") as raised:
            peers.find(now + second)
        assert "\n" not in str(raised.value)
    chain.service.answer = None
    assert len(chain.service.methods) - asked <= 1
    assert ADDRESS in peers.find(now + MIN_INTERVAL_SECONDS)


def test_those_of_the_file_need_no_chain() -> None:
    assert InitialPeers([ADDRESS]).find(0.0) == [ADDRESS]
