"""How many peers fit on a machine, and what limits them; pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from alerts.sizes import show_size
from fleet.plan.footprint import MIB, SIDECAR_BYTES, Footprint, adapter_parameters, predict
from fleet.plan.host import GIB, Host, headroom
from fleet.plan.pace import best_count
from fleet.plan.shapes import Shape
from fleet.plan.workload import Workload

# Leaderboard with its DHT and p2pd, alert loop and supervisord, measured on Linux.
SERVICES_BYTES = 400 * MIB
# The trainer keeps two checkpoints, and writes the third before it removes the first.
CHECKPOINTS = 3
DISK_RESERVE_BYTES = 5 * GIB
# A limit this far above the peak catches growth, not an ordinary step.
LIMIT_FACTOR = 1.25
_LIMIT_STEP = 256 * MIB


@dataclass(frozen=True)
class Bound:
    """One thing that limits the peers: how many it allows, and by which figures."""

    name: str
    peers: int
    why: str
    is_of_memory: bool = False


@dataclass(frozen=True)
class Case:
    """The input of a plan: a model with its settings on a machine, and its predicted footprint.

    `pace` is the measured steps per second of all peers, by their number; `is_measurable`: whether it can be had.
    """

    shape: Shape
    work: Workload
    host: Host
    footprint: Footprint
    measured_bytes: float | None = None
    pace: Mapping[int, float] = field(default_factory=dict)
    is_measurable: bool = True

    @property
    def peer_bytes(self) -> float:
        """Of one peer alone; measured if known, else predicted."""
        return self.measured_bytes or self.footprint.bytes


@dataclass(frozen=True)
class Answer:
    """The count, what limits it, and the settings of each peer."""

    peers: int
    bounds: tuple[Bound, ...]
    threads: int
    memory_limit_bytes: int

    @property
    def bound(self) -> Bound:
        return min(self.bounds, key=lambda one: one.peers)


def case(shape: Shape, work: Workload, host: Host) -> Case:
    """The case with the footprint that the formula gives."""
    return Case(shape, work, host, predict(shape, work, system=host.system))


def answer(planned: Case) -> Answer:
    """The count by all bounds."""
    bounds = tuple(_bounds(planned))
    peers = min(bound.peers for bound in bounds)
    threads = max(1, planned.host.cores // max(1, peers))
    return Answer(peers, bounds, threads, memory_limit(planned, peers))


def available_bytes(host: Host) -> float:
    """For all peers together, with what they share."""
    return max(0.0, host.memory_bytes - host.used_bytes - headroom(host)[0] - SERVICES_BYTES)


def checkpoint_bytes(shape: Shape, work: Workload) -> float:
    """All checkpoints of one peer: weights (or adapters) with the optimizer's state."""
    if work.lora_rank:
        return CHECKPOINTS * 12.0 * adapter_parameters(shape, work.lora_rank)
    return CHECKPOINTS * 3.0 * shape.parameters * work.weight_bytes


def fitted(planned: Case) -> Workload | None:
    """The same work in the largest batches in which one peer fits; None where none does."""
    if count_of(planned) > 0:
        return planned.work
    for smaller in smaller_batches(planned.work):
        if count_of(case(planned.shape, smaller, planned.host)) > 0:
            return smaller
    return None


def count_of(planned: Case) -> int:
    """How many peers fit."""
    return min(bound.peers for bound in _bounds(planned))


def _bounds(planned: Case) -> Iterator[Bound]:
    host, footprint = planned.host, planned.footprint
    tensors = footprint.accelerator_bytes
    own = planned.peer_bytes - footprint.shared_bytes + SIDECAR_BYTES
    if host.device == "cuda":
        own -= tensors
    room = available_bytes(host) - footprint.shared_bytes
    yield Bound(
        "memory",
        max(0, int(room // own)),
        f"{show_size(room)} for peers of {show_size(own)}, sidecars included",
        True,
    )
    if host.accelerator_bytes is not None:
        name = "Metal's working set" if host.device == "mps" else "the card's memory"
        count = int(host.accelerator_bytes // tensors)
        yield Bound(name, count, f"{show_size(host.accelerator_bytes)} for tensors of {show_size(tensors)}", True)
    yield Bound("cores", host.cores, f"{host.cores} cores; a peer needs one")
    best = best_count(planned.pace)
    if best is not None:
        gain = planned.pace[best + 1] / planned.pace[best] - 1
        yield Bound("the measured pace", best, f"one more peer changes the steps/s of all together by {gain:+.0%}")
    if host.disk_free_bytes is not None:
        each = checkpoint_bytes(planned.shape, planned.work)
        room = max(0.0, host.disk_free_bytes - DISK_RESERVE_BYTES)
        yield Bound("disk", int(room // each), f"{show_size(room)} for checkpoints of {show_size(each)}")


def memory_limit(planned: Case, peers: int) -> int:
    """Bytes for each of so many peers, rounded to 256 MiB; together at most the free memory."""
    wanted = math.ceil(planned.peer_bytes * LIMIT_FACTOR / _LIMIT_STEP) * _LIMIT_STEP
    share = (planned.host.memory_bytes - planned.host.used_bytes) / max(1, peers)
    return max(_LIMIT_STEP, min(wanted, math.floor(share / _LIMIT_STEP) * _LIMIT_STEP))


def smaller_batches(work: Workload) -> Iterator[Workload]:
    """The same work in smaller batches, the largest first."""
    for batch in _batches(work.generated, below=work.batch):
        yield replace(work, batch=batch, accumulation=work.generated // batch)


def _batches(total: int, *, below: int) -> Iterator[int]:
    return (size for size in range(below - 1, 0, -1) if total % size == 0)
