"""The accelerators that the trainer uses: load, memory, power, heat, problems, and the peer's share of them."""

from collections.abc import Iterator
from typing import Self

from exporter.accelerators.peer import PeerAccelerator, PeerReading
from exporter.config import SidecarConfig
from exporter.metrics import Sample


class Collector:
    """Says nothing where there is no accelerator, where it cannot be read, and of a trainer on the processor."""

    def __init__(self, accelerator: PeerAccelerator) -> None:
        self._accelerator = accelerator

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self:
        return cls(config.accelerator)

    def collect(self, now: float) -> list[Sample]:
        """Raises OSError where the probe's answer cannot be shared."""
        found = self._accelerator.read(now)
        return [] if found is None else list(describe(found))


def describe(found: PeerReading) -> Iterator[Sample]:
    """The samples of a reading; pure."""
    for one in found.devices:
        labels = {"device": one.device}
        yield Sample("accelerator_up", labels | {"name": one.name}, float(not one.problem))
        if one.problem:
            yield Sample("accelerator_problem", labels | {"reason": one.problem}, 1.0)
        for name, value in one.values.items():
            yield Sample(f"accelerator_{name}", labels, value)
        for reason, value in one.throttled.items():
            yield Sample("accelerator_throttled", labels | {"reason": reason}, value)
        for number, at in one.xids.items():
            yield Sample("accelerator_xid_timestamp_seconds", labels | {"xid": number}, at)
    for device, share in found.shares.items():
        if share.memory_bytes is not None:
            yield Sample("accelerator_process_memory_bytes", {"device": device}, share.memory_bytes)
        if share.utilization is not None:
            yield Sample("accelerator_process_utilization_ratio", {"device": device}, share.utilization)
    if found.is_busy is not None:
        yield Sample("accelerator_busy", {}, float(found.is_busy))
