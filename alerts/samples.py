"""What a rule keeps of the past: few samples, evenly spread, of the process that runs now. Pure."""

from typing import Any

from alerts.rules import View

# [time, value, ...]
Sample = list[float]


def recall(view: View) -> dict[str, Any]:
    """The memory of the trainer process that runs now; only its start once another one has begun."""
    started = view.reading.value("trainer_start_timestamp_seconds") if view.reading else None
    if view.memory and view.memory.get("started") == started:
        return dict(view.memory)
    return {"started": started}


def keep(samples: list[Sample], sample: Sample, *, every_seconds: float, window_seconds: float) -> list[Sample]:
    """The samples of the window with this one, if the last lies `every_seconds` back; else the same list.

    Samples of the future were taken before the clock was put back, and say nothing of how long anything took.
    """
    now = sample[0]
    if samples and 0 <= now - samples[-1][0] < every_seconds:
        return samples
    return [*(one for one in samples if now - window_seconds <= one[0] < now), sample]


def since(samples: list[Sample], moment: float) -> list[Sample]:
    """The samples from a moment on: times from before the clock was set cannot be compared with those after."""
    return [one for one in samples if one[0] >= moment]
