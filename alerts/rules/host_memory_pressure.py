"""The machine runs out of memory: programs stall on it, or little is left and much is swapped out.

Linux reports the share of time in which all programs stalled on memory (pressure stall information), macOS a level.
Where a system reports neither, little available memory together with much swap counts; within the limit of a container
that has no such swap, little available memory alone, as the system kills a program as soon as it is used up.

What to do: stop a peer, or lower its batch size, before the machine kills a program of its own choice or hangs;
`peerwatch plan` says how many peers fit.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive
from alerts.scraping.page import Page

# Apple's kern.memorystatus_vm_pressure_level: 1 normal, 2 warning, 4 critical.
MACOS_CRITICAL = 4
GIB = 2**30


class Settings(RuleSettings):
    """Thresholds of HostMemoryPressure, as shares of time and of the machine's memory."""

    for_: Duration = Field(default=120.0, alias="for")
    recover_after: Duration = 300.0
    stalled: float = Field(default=0.1, gt=0, le=1, description="limit of the share of time that all programs stall")
    available: float = Field(default=0.05, ge=0, le=1, description="limit of available memory, as a share")
    swapped: float = Field(default=0.25, ge=0, description="limit of used swap, as a share of the memory")


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    total = page.value("host_memory_total_bytes") if page else None
    available = page.value("host_memory_available_bytes") if page else None
    if page is None or not total or available is None:
        return UNKNOWN
    stalled = page.value("host_memory_pressure_ratio", kind="full") or 0.0
    level = page.value("host_memory_pressure_level") or 0.0
    swap = page.value("host_swap_used_bytes") or 0.0
    most = settings.swapped * total
    measured = say(
        "{available:.0%} of memory available, {swap:.2f} GiB of swap used", available=available / total, swap=swap / GIB
    )
    if stalled >= settings.stalled:
        template = "Programs stalled on memory {stalled:.0%} of the time; limit {limit:.0%}; {measured}."
        return active(say(template, stalled=stalled, limit=settings.stalled, measured=measured))
    if level >= MACOS_CRITICAL:
        return active(say("The system reports critical memory pressure; {measured}.", measured=measured))
    if available <= settings.available * total and swap >= most:
        template = "Low memory: {measured}; limits {least:.0%} and {most:.2f} GiB."
        return active(say(template, measured=measured, least=settings.available, most=most / GIB))
    if available <= settings.available * total and _is_limited_without_swap(page, most):
        template = "Low memory within a limit of {total:.2f} GiB, without swap: {measured}; limit {least:.0%}."
        return active(say(template, total=total / GIB, measured=measured, least=settings.available))
    return inactive(say("{measured}.", measured=measured))


def _is_limited_without_swap(page: Page, most: float) -> bool:
    """Whether a container or slice, rather than the hardware, gives the memory, and less swap than `most` bytes."""
    swap = page.value("host_swap_total_bytes")
    return page.value("host_memory_limit_bytes") is not None and swap is not None and swap < most


RULE = Rule(
    settings=Settings,
    chart="host memory",
    judge=judge,
    inhibits=("PeerStalled", "StepRateDegraded", "RoundLag", "RewardStagnant"),
    doc=__doc__ or "",
    scope="host",
    promql="""
max without (kind) (
  host_memory_pressure_ratio{kind="full"} >= %(stalled)g
  or host_memory_pressure_level >= 4
  or host_memory_available_bytes <= %(available)g * host_memory_total_bytes
    and host_swap_used_bytes >= %(swapped)g * host_memory_total_bytes
  or host_memory_available_bytes <= %(available)g * host_memory_total_bytes
    and host_memory_limit_bytes
    and host_swap_total_bytes < %(swapped)g * host_memory_total_bytes
)
""",
    reads=("host_memory_limit_bytes", "host_swap_total_bytes"),
)
