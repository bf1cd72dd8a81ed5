"""Addresses of libp2p, as far as a swarm of peers uses them: what p2pd would refuse is refused before it is started."""

import ipaddress

from exporter.serving.listen_address import is_host_name
from trainer.protocol import is_peer_id

_HOSTS = ("ip4", "ip6", "dns", "dns4", "dns6", "dnsaddr")
_TRANSPORTS = ("tcp", "udp")
# Protocols without a value.
_FLAGS = ("quic", "quic-v1", "ws", "wss", "tls", "noise", "webtransport", "p2p-circuit", "http", "https")
_EXAMPLE = "such as /ip4/192.0.2.7/tcp/38331/p2p/Qm…"


def check_multiaddr(address: str) -> str:
    """The address unchanged. Raises ValueError with the part that is wrong and the remedy."""
    parts = address.split("/")
    if len(parts) < 3 or parts[0] or parts[1] not in _HOSTS:
        raise ValueError(f"{address!r} is not a multiaddr, {_EXAMPLE}")
    position = 1
    while position < len(parts):
        name, value = parts[position], parts[position + 1] if position + 1 < len(parts) else ""
        if name in _FLAGS:
            position += 1
            continue
        problem = _problem(name, value)
        if problem:
            raise ValueError(f"{address!r}: {problem}, {_EXAMPLE}")
        position += 2
    if parts[1] != "dnsaddr" and (len(parts) < 5 or parts[3] not in _TRANSPORTS):
        raise ValueError(f"{address!r} has no /tcp/PORT behind the host, {_EXAMPLE}")
    return address


def check_peer_address(address: str) -> str:
    """The same for an address that ends in /p2p/PEER_ID."""
    check_multiaddr(address)
    if not is_peer_id(address.rpartition("/p2p/")[2]):
        raise ValueError(f"{address!r} does not end in /p2p/PEER_ID")
    return address


def _problem(name: str, value: str) -> str | None:
    """What is wrong with one protocol and its value."""
    if name in ("ip4", "ip6"):
        kind = ipaddress.IPv4Address if name == "ip4" else ipaddress.IPv6Address
        try:
            kind(value)
        except ValueError:
            return f"{value!r} is no IPv{name[-1]} address"
    elif name in _HOSTS:
        return None if is_host_name(value) else f"{value!r} is no host name"
    elif name in _TRANSPORTS:
        is_port = value.isascii() and value.isdigit() and len(value) <= 5 and int(value) <= 65535
        return None if is_port else f"{value!r} is no port"
    elif name in ("p2p", "ipfs"):
        return None if is_peer_id(value) else f"{value!r} is no peer id"
    elif name != "certhash":
        return f"unknown protocol {name!r}"
    return None
