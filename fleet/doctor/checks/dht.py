"""The swarm's initial peers, or the fleet's own, answer as libp2p does."""

import socket
from collections.abc import Iterator

from fleet.configuration.compose import reachable
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site
from trainer.swarm.reachability import tcp_address

ANSWER_SECONDS = 5.0
# The listener sends this first (https://github.com/multiformats/multistream-select).
GREETING = b"\x13/multistream/1.0.0\n"


IS_ABOUT_OUR_TRAINERS = True


def examine(site: Site) -> Iterator[Finding]:
    config = site.loaded.config
    assert config is not None
    addresses = list(config.swarm.initial_peers)
    if not addresses:
        yield from _own_swarm(site)
        return
    reached = []
    for address in addresses:
        problem = _try(address)
        if problem is None:
            reached.append(address)
        else:
            yield warning(f"initial peer {address}: {problem}", "ask the swarm for its current addresses")
    if reached:
        yield ok(f"{len(reached)} of {len(addresses)} initial peers answer")
    else:
        yield failure("no initial peer answers: the swarm cannot be joined", "check this machine's network first")


def _own_swarm(site: Site) -> Iterator[Finding]:
    assert site.loaded.config is not None
    if not site.is_running:
        yield ok("the fleet is a swarm of its own: no initial peers needed")
        return
    host = reachable(site.loaded.config.swarm.host)
    silent = []
    for peer in site.loaded.ours:
        problem = _greet(host, peer.trainer_port)
        if problem is not None:
            silent.append(peer.name)
            yield warning(
                f"peer {peer.name} on port {peer.trainer_port}: {problem}", "see its trainer.log; it may be starting"
            )
    if not silent:
        yield ok(f"{len(site.loaded.ours)} peers answer in the fleet's own swarm")


def _try(multiaddr: str) -> str | None:
    address = tcp_address(multiaddr) or _named_address(multiaddr)
    return "no TCP address" if address is None else _greet(*address)


def _named_address(multiaddr: str) -> tuple[str, int] | None:
    parts = multiaddr.split("/")
    if len(parts) >= 5 and parts[1] in ("dns", "dns4", "dns6") and parts[3] == "tcp" and parts[4].isdecimal():
        return parts[2], int(parts[4])
    return None


def _greet(host: str, port: int) -> str | None:
    """Why libp2p does not answer; None if it does."""
    try:
        with socket.create_connection((host, port), timeout=ANSWER_SECONDS) as connection:
            connection.settimeout(ANSWER_SECONDS)
            answer = b""
            while len(answer) < len(GREETING):
                part = connection.recv(len(GREETING) - len(answer))
                if not part:
                    break
                answer += part
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS:g} s"
    except OSError as error:
        return (error.strerror or "no connection").lower()
    return None if answer == GREETING else "another service answers, not libp2p"
