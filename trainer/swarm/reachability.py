"""Which initial peers accept a connection, as only those are used to join; and which ports of this machine do."""

import socket
import time
from collections.abc import Sequence

import psutil

PROBE_SECONDS = 0.5
ALL_PROBES_SECONDS = 5.0


def reachable(multiaddrs: Sequence[str]) -> list[str]:
    """The addresses whose TCP port accepts a connection, and those that cannot be probed, in the given order.

    libp2p and hivemind have long timeouts for a peer that is down. Addresses not probed in time are kept.
    """
    deadline = time.monotonic() + ALL_PROBES_SECONDS
    kept = []
    for multiaddr in multiaddrs:
        address = tcp_address(multiaddr)
        if address is None or time.monotonic() > deadline or _accepts(address):
            kept.append(multiaddr)
    return kept


def tcp_address(multiaddr: str) -> tuple[str, int] | None:
    """Host and port of `/ip4/192.0.2.7/tcp/38331/p2p/Qm…`; None for anything but plain TCP on an IP address."""
    parts = multiaddr.split("/")
    if len(parts) < 5 or parts[1] not in ("ip4", "ip6") or parts[3] != "tcp" or not parts[4].isdecimal():
        return None
    return parts[2], int(parts[4])


def has_listener(port: int) -> bool:
    """Whether a process listens on the TCP port, at any address of this machine; else only a connection holds it.

    True where that cannot be seen: macOS shows it to root alone, and gives connections the ports from 49152 up.
    """
    try:
        sockets = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return True
    return any(one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port for one in sockets)


def _accepts(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=PROBE_SECONDS):
            return True
    except OSError:
        return False
