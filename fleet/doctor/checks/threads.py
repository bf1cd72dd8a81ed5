"""The running trainers' threads against the cores."""

from collections.abc import Iterator

from exporter.system.machine import read_cores
from fleet.doctor.findings import Finding, ok, warning
from fleet.doctor.site import Site


def examine(site: Site) -> Iterator[Finding]:
    cores = read_cores().count
    trainers = site.trainers
    # Without the variable, OpenMP takes every core.
    threads = [_threads(one.environment.get("OMP_NUM_THREADS", ""), cores) for one in trainers]
    if sum(threads) > max(cores, len(trainers)):
        each = max(1, cores // len(trainers))
        yield warning(
            f"{len(trainers)} trainers have {sum(threads)} threads on {cores} cores and slow each other down",
            f"start each with OMP_NUM_THREADS={each}",
        )
    elif len(trainers) > cores:
        yield warning(
            f"{len(trainers)} trainers share {cores} cores",
            "run `peerwatch plan --measure` to see whether so many peers help"
            if site.loaded.ours
            else "run fewer of them, and see whether all together get on faster",
        )
    elif trainers:
        yield ok(f"{sum(threads)} threads of {len(trainers)} trainers on {cores} cores")
    else:
        ours = site.loaded.ours
        share = f" {ours[0].threads} threads each" if ours else " no threads to divide"
        yield ok(f"{len(ours)} peers will have{share} on {cores} cores")


def _threads(setting: str, cores: int) -> int:
    # OpenMP accepts a list too, one number per level.
    first = setting.split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else cores
