"""What is known of other trainers on machines like the planned one, and why ours differs; pure."""

from collections.abc import Iterator
from dataclasses import replace

from alerts.sizes import show_size
from fleet.plan.answer import Case, available_bytes, case, count_of
from fleet.plan.host import GIB, Host, elsewhere

# Gensyn's rl-swarm with a model of half a billion parameters, in its configuration for Macs: what a peer takes there,
# and how many peers its users run, by the Mac's memory.
BATCH, ACCUMULATION = 2, 4
PEER_GB = (8, 12)
PEERS_BY_GIB = {16: "2", 24: "2 to 3", 32: "3 to 4"}
# Models of about this size are what those figures are of.
_PARAMETERS = (0.3e9, 0.9e9)
_CORES = 10


def compare(planned: Case) -> Iterator[str]:
    """Sentences beside a plan for a Mac and a model of about half a billion parameters; none for others."""
    least, most = _PARAMETERS
    if planned.host.device != "mps" or not least <= planned.shape.parameters <= most:
        return
    same = replace(planned.work, batch=BATCH, accumulation=ACCUMULATION)
    ours = case(planned.shape, same, planned.host)
    counts = {gib: _count(ours, gib) for gib in PEERS_BY_GIB}
    known = ", ".join(f"{gib} GiB: {peers}" for gib, peers in PEERS_BY_GIB.items())
    predicted = ", ".join(f"{gib} GiB: {peers}" for gib, peers in counts.items())
    yield (
        f"rl-swarm on a Mac, batch {BATCH} and accumulation {ACCUMULATION}: {PEER_GB[0]} to {PEER_GB[1]} GB a peer; "
        f"peers that its users run: {known}."
    )
    yield (
        f"The same batch here: {ours.footprint.bytes / 1e9:.1f} GB a peer "
        f"({ours.work.dtype}, {ours.work.completion_tokens} tokens); peers that fit: {predicted}."
    )
    bytes_there = 2 * PEER_GB[0] * 1e9
    yield (
        f"Ours are fewer: two peers of {PEER_GB[0]} GB are {show_size(bytes_there)}, and beside macOS a Mac of 16 GiB "
        f"has {show_size(available_bytes(_mac(16)))}: the rest is compressed and swapped, which works while peers take "
        "turns and slows every step while they do not. This plan counts what stays in memory, within Metal's limit."
    )


def _count(planned: Case, gib: int) -> int:
    return count_of(replace(planned, host=_mac(gib)))


def _mac(gib: int) -> Host:
    return elsewhere("mps", gib * GIB, _CORES)
