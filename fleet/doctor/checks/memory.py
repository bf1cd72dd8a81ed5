"""The peers' limits against the machine's memory; swapping."""

from collections.abc import Iterator

from alerts.sizes import show_size
from exporter.system.machine import read_memory
from fleet.configuration.checks import Machine
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import Site

SWAP_USED_SHARE = 0.5
FREE_SHARE = 0.2


def examine(site: Site) -> Iterator[Finding]:
    memory = read_memory()
    peers = site.loaded.peers
    unlimited = [peer.name for peer in peers if not peer.memory_limit_bytes]
    limits = sum(peer.memory_limit_bytes or 0 for peer in peers)
    if limits > memory.total_bytes:
        yield failure(
            f"the peers may take {show_size(limits)}; {Machine.here().describe_memory()}",
            "run fewer peers or smaller ones; `peerwatch plan` says what fits",
        )
    elif limits > memory.available_bytes and not site.is_running:
        yield warning(
            f"the peers may take {show_size(limits)}; only {show_size(memory.available_bytes)} is free now",
            "close other programs before `peerwatch up`, or lower memory_limit",
        )
    if unlimited:
        yield warning(
            f"no memory limit for {', '.join(unlimited)}: a leak is noticed only by the whole machine's memory",
            "set memory_limit; `peerwatch plan` says how much a peer needs",
        )
    is_tight = memory.available_bytes < FREE_SHARE * memory.total_bytes
    swapped = memory.swap_used_bytes
    if is_tight and memory.swap_total_bytes and swapped > SWAP_USED_SHARE * memory.swap_total_bytes:
        yield warning(f"{show_size(swapped)} is swapped out, which slows every step", "run fewer or smaller peers")
    by = f" ({memory.limit.origin})" if memory.limit else ""
    yield ok(f"{show_size(memory.available_bytes)} of {show_size(memory.total_bytes)} is free{by}")
