"""The model of what a simulated trainer's processes do: stated here, as no trace of a week holds it.

While it works, the tree of a trainer uses the processors that it usually uses in the phase, with noise from one
collection to the next; beside other programs, as much less as its step takes longer for them. While it saves, half a
core and moving bytes; while it waits, what its helpers use. Of the trainers, in equal parts,

- compute on processors with two to eight threads,
- feed a GPU with one thread that never waits, as CUDA's own waits spin,
- feed a GPU with a few hundredths of a core,
- train with two threads and wait for a server outside of the machine while they generate.

Half of those with a GPU tell whether it computes, by the power it draws. A hang is, by the shares of HANG_KINDS, a rest
(a lock, a lost server, a stopped process: the helpers go on), one thread that spins, or a deadlock between GPUs:
utilisation 100 %, idle power, and a thread that waits by spinning; where there is no GPU, a rest.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.activity.usage import Usage

Series = NDArray[np.float64]

COLLECTION_SECONDS = 5.0
HELPER_CORES = 0.005
AT_REST = "rest"
HANG_KINDS = {AT_REST: 0.6, "one thread spins": 0.25, "accelerator deadlock": 0.15}
KINDS = ("processor", "GPU, a thread spins", "GPU, few hundredths", "server")


@dataclass(frozen=True)
class Workload:
    """Cores in use while generating and training, their relative noise, the machine's cores, and the accelerator.

    `tells_accelerator` is None without one, else whether it is known what it does.
    """

    kind: str
    generating: float
    training: float
    noise: float
    machine_cores: float
    tells_accelerator: bool | None


class Activity(NamedTuple):
    """What the tree did in each collection of a trace, in arrays; `ends` are seconds since its begin."""

    ends: Series
    cores: Series
    moved: Series
    machine_busy: Series
    accelerator: Series
    waits_for_disk: Series
    stopped: Series


def list_uses(activity: Activity, workload: Workload) -> list[Usage]:
    """The same, one by one."""
    seconds = np.diff(activity.ends, prepend=0.0)
    known = workload.tells_accelerator
    rows = zip(
        seconds.tolist(),
        activity.cores.tolist(),
        activity.moved.tolist(),
        (activity.waits_for_disk > 0.0).tolist(),
        activity.machine_busy.tolist(),
        (activity.accelerator > 0.1).tolist() if known else [None] * len(seconds),
        (activity.stopped > 0.0).tolist(),
        strict=True,
    )
    return [Usage(*row) for row in rows]


class Hang(NamedTuple):
    """How a trainer hangs, and what collections show of it then, the last for ever."""

    kind: str
    uses: tuple[Usage, ...]


def make_workload(random: np.random.Generator) -> Workload:
    """One of the kinds, in equal parts."""
    kind = KINDS[int(random.integers(len(KINDS)))]
    noise = float(random.uniform(0.03, 0.3))
    cores = float(2 ** random.integers(1, 6))
    if kind == "processor":
        threads = float(random.uniform(1.7, min(8.0, cores)))
        return Workload(kind, threads * float(random.uniform(0.5, 1.0)), threads, noise, cores, None)
    if kind == "server":
        return Workload(kind, 0.01, float(random.uniform(1.5, 2.0)), noise, max(cores, 4.0), None)
    used = 1.0 if kind == "GPU, a thread spins" else float(random.uniform(0.03, 0.08))
    return Workload(
        kind, used * float(random.uniform(0.8, 1.0)), used, noise, max(cores, 4.0), bool(random.random() < 0.5)
    )


def hang_of(random: np.random.Generator, workload: Workload) -> Hang:
    """One of the ways in which a trainer with this workload hangs."""
    kind = str(random.choice(list(HANG_KINDS), p=list(HANG_KINDS.values())))
    if kind == "accelerator deadlock" and workload.tells_accelerator is None:
        kind = AT_REST
    cores = HELPER_CORES if kind == AT_REST else 1.0 + HELPER_CORES
    cores *= float(np.exp(0.02 * random.standard_normal()))
    busy = False if workload.tells_accelerator else None
    machine = min(1.0, 0.05 + cores / workload.machine_cores)
    return Hang(kind, (Usage(COLLECTION_SECONDS, cores, 2e3, False, machine, busy),))


def simulate(
    random: np.random.Generator,
    workload: Workload,
    steps: Series,
    generating: Series,
    saves: Series,
    waits: Series,
    shares: Series,
) -> Activity:
    """The collections of a trace; `shares` is the part of the processors that each step gets beside other programs."""
    parts = np.column_stack((generating, steps - generating, saves, waits)).ravel()
    ends = np.concatenate(([0.0], np.cumsum(parts)))
    count = int(ends[-1] // COLLECTION_SECONDS) + 1
    at = np.arange(count + 1) * COLLECTION_SECONDS
    zeros, ones = np.zeros(len(steps)), np.ones(len(steps))

    def average(*rates: Series) -> Series:
        """The mean in each collection of what the four parts of each step have."""
        total = np.concatenate(([0.0], np.cumsum(parts * np.column_stack(rates).ravel())))
        return np.diff(np.interp(at, ends, total)) / COLLECTION_SECONDS

    cores = average(workload.generating * shares, workload.training * shares, 0.5 * ones, HELPER_CORES * ones)
    cores *= np.exp(workload.noise * random.standard_normal(count))
    moved = average(20e3 * ones, 20e3 * ones, 50e6 * ones, 2e3 * ones)
    crowded = average(shares < 1.0, shares < 1.0, zeros, zeros)
    machine = np.minimum(1.0, np.maximum(crowded, 0.05 + cores / workload.machine_cores))
    accelerator = average(ones, ones, zeros, zeros) if workload.tells_accelerator else np.zeros(count)
    return Activity(at[1:], cores + HELPER_CORES, moved, machine, accelerator, np.zeros(count), np.zeros(count))
