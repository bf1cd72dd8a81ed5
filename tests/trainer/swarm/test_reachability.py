"""Unreachable initial peers are left out when joining the swarm."""

import socket

import pytest

from tests.fakes import LOOPBACK, reserve_ports
from trainer.swarm.reachability import reachable, tcp_address

ANY_PEER = "Qm" + "1" * 44


def test_only_what_listens_or_cannot_be_probed_is_kept() -> None:
    [closed] = reserve_ports(1)
    with socket.create_server((LOOPBACK, 0)) as server:
        open_peer = f"/ip4/{LOOPBACK}/tcp/{server.getsockname()[1]}/p2p/{ANY_PEER}"
        named_peer = f"/dns4/peer.example.org/tcp/38331/p2p/{ANY_PEER}"
        closed_peer = f"/ip4/{LOOPBACK}/tcp/{closed}/p2p/{ANY_PEER}"
        assert reachable([closed_peer, open_peer, named_peer]) == [open_peer, named_peer]


@pytest.mark.parametrize(
    ("multiaddr", "address"),
    [
        (f"/ip4/192.0.2.7/tcp/38331/p2p/{ANY_PEER}", ("192.0.2.7", 38331)),
        ("/ip6/::1/tcp/9/p2p/x", ("::1", 9)),
        ("/ip4/192.0.2.7/udp/38331/quic", None),
        ("/dns/a/tcp/1", None),
        ("/ip4/192.0.2.7/tcp/x", None),
        ("", None),
    ],
)
def test_the_address_of_a_multiaddr(multiaddr: str, address: tuple[str, int] | None) -> None:
    assert tcp_address(multiaddr) == address
