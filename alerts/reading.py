"""What one scrape of a sidecar said: its finite samples, by name and labels."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

PREFIXES = ("trainer_", "swarm_", "sidecar_")
MAX_LINE_LENGTH = 4096
MAX_LINES = 4000
MAX_LABEL_LENGTH = 128

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Reading:
    """The samples of one page. A value that was not measured, or is not finite, is absent."""

    samples: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)

    def value(self, name: str, **labels: str) -> float | None:
        """The first sample of `name` that carries `labels`; None where there is none."""
        wanted = labels.items()
        for found, value in self.samples.get(name, {}).items():
            if wanted <= set(found):
                return value
        return None

    def labels(self, name: str) -> dict[str, str]:
        """The labels of the first sample of `name`, as an info metric carries them."""
        return dict(next(iter(self.samples.get(name, {})), ()))

    def is_current(self) -> bool:
        """Whether the trainer's process wrote the trainer's part of the page, and not the process before it."""
        started = self.value("trainer_start_timestamp_seconds")
        phase_start = self.value("trainer_phase_start_timestamp_seconds")
        return started is None or (phase_start is not None and phase_start >= started)

    def state(self) -> str | None:
        """The phase that the trainer is in: what it says, or `starting` until it says something."""
        if not self.is_current():
            return "starting"
        for found, value in self.samples.get("trainer_state", {}).items():
            if value == 1:
                return dict(found).get("trainer_state")
        return None

    def is_up(self) -> bool | None:
        """Whether the trainer's process runs; None where the sidecar could not tell."""
        up = self.value("trainer_up")
        return None if up is None else up == 1


def parse(page: str) -> Reading:
    """The samples of a sidecar's page; raises ValueError for a page that is not one."""
    samples: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families("\n".join(_relevant_lines(page.splitlines())) + "\n"):
        for sample in family.samples:
            if math.isfinite(sample.value):
                samples.setdefault(sample.name, {})[_bounded(sample.labels)] = sample.value
    if not samples:
        raise ValueError("the page holds no sample of a sidecar")
    return Reading(samples)


def _relevant_lines(lines: Iterable[str]) -> list[str]:
    """Sample lines of our metrics. Comments say nothing that a rule reads, and a hostile page may hold much else."""
    kept = [line for line in lines if line.startswith(PREFIXES) and len(line) <= MAX_LINE_LENGTH]
    if len(kept) > MAX_LINES:
        raise ValueError(f"the page holds more than {MAX_LINES} samples")
    return kept


def _bounded(labels: Mapping[str, str]) -> Labels:
    """Labels as text that a page and a log can show: bounded, without control characters."""
    return frozenset(
        (name, "".join(c for c in text if c.isprintable())[:MAX_LABEL_LENGTH]) for name, text in labels.items()
    )
