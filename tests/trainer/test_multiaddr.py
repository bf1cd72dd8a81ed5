"""Addresses of libp2p as swarms hand them out."""

import pytest

from trainer.multiaddr import check_multiaddr, check_peer_address

RSA = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
ED25519 = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf"


@pytest.mark.parametrize(
    "address",
    [
        f"/ip4/38.101.215.12/tcp/30011/p2p/{RSA}",
        f"/ip4/38.101.215.12/tcp/30011/p2p/{ED25519}",
        f"/dns4/bootstrap.example.org/tcp/31337/p2p/{RSA}",
        f"/dns/bootstrap.example.org/tcp/31337/p2p/{RSA}",
        f"/dnsaddr/bootstrap.example.org/p2p/{RSA}",
        f"/ip6/2001:db8::7/tcp/30011/p2p/{RSA}",
        f"/ip4/38.101.215.12/udp/30011/quic/p2p/{RSA}",
        f"/ip4/38.101.215.12/udp/30011/quic-v1/p2p/{ED25519}",
        f"/ip4/38.101.215.12/udp/1/quic-v1/webtransport/certhash/uEiA/p2p/{ED25519}",
        f"/dns4/a.example/tcp/443/wss/p2p/{RSA}",
        f"/ip4/1.2.3.4/tcp/4001/p2p/{RSA}/p2p-circuit/p2p/{ED25519}",
    ],
)
def test_an_address_that_a_swarm_hands_out_is_accepted(address: str) -> None:
    assert check_peer_address(address) == address


def test_an_address_to_announce_needs_no_peer_id() -> None:
    assert check_multiaddr("/ip4/203.0.113.7/tcp/5") == "/ip4/203.0.113.7/tcp/5"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("38.101.215.12:30011", "is not a multiaddr"),
        ("", "is not a multiaddr"),
        ("/", "is not a multiaddr"),
        ("/ip4", "is not a multiaddr"),
        (f"/ipv4/38.101.215.12/tcp/30011/p2p/{RSA}", "is not a multiaddr"),
        ("/ip4/38.101.215.12/tcp/30011", "does not end in /p2p/PEER_ID"),
        ("/ip4/38.101.215.12/tcp/30011/p2p/Qmshort", "'Qmshort' is no peer id"),
        (f"/ip4/38.101.215.12/tcp/30011/p2p/{RSA} ", "is no peer id"),
        (f"/ip4/38.101.215.12/tcp/30011/p2p/{RSA}/", "unknown protocol ''"),
        (f"/ip4/38.101.215/tcp/30011/p2p/{RSA}", "'38.101.215' is no IPv4 address"),
        (f"/ip4/bootstrap.example/tcp/30011/p2p/{RSA}", "is no IPv4 address"),
        (f"/ip6/1.2.3.4/tcp/30011/p2p/{RSA}", "is no IPv6 address"),
        (f"/dns4/1.2.3.4/tcp/30011/p2p/{RSA}", "is no host name"),
        (f"/dns4/a_/b/tcp/30011/p2p/{RSA}", "unknown protocol 'b'"),
        (f"/ip4/38.101.215.12/tcp/300111/p2p/{RSA}", "'300111' is no port"),
        (f"/ip4/38.101.215.12/tcp/p2p/{RSA}", "'p2p' is no port"),
        (f"/ip4/38.101.215.12/tpc/30011/p2p/{RSA}", "unknown protocol 'tpc'"),
        (f"/ip4/38.101.215.12/p2p/{RSA}", "has no /tcp/PORT"),
    ],
)
def test_a_malformed_address_is_named_by_its_wrong_part(address: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        check_peer_address(address)
    assert repr(address) in str(raised.value)
