"""The peers' limits against the machine's memory; swapping."""

from collections.abc import Iterator

import psutil

from alerts.sizes import show_size
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site

SWAP_USED_SHARE = 0.5


def examine(site: Site) -> Iterator[Finding]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    peers = site.loaded.peers
    unlimited = [peer.name for peer in peers if not peer.memory_limit_bytes]
    limits = sum(peer.memory_limit_bytes or 0 for peer in peers)
    if limits > memory.total:
        yield failure(
            f"the peers may take {show_size(limits)}; this machine has {show_size(memory.total)}",
            "run fewer peers or smaller ones; `peerwatch plan` says what fits",
        )
    elif limits > memory.available and not site.is_running:
        yield warning(
            f"the peers may take {show_size(limits)}; only {show_size(memory.available)} is free now",
            "close other programs before `peerwatch up`, or lower memory_limit",
        )
    if unlimited:
        yield warning(
            f"no memory limit for {', '.join(unlimited)}: a leak is noticed only by the whole machine's memory",
            "set memory_limit; `peerwatch plan` says how much a peer needs",
        )
    if swap.total and swap.used > SWAP_USED_SHARE * swap.total and memory.percent > 80:
        yield warning(f"{show_size(swap.used)} is swapped out, which slows every step", "run fewer or smaller peers")
    yield ok(f"{show_size(memory.available)} of {show_size(memory.total)} is free")
