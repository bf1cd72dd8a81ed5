"""The machine runs out of memory: its programs wait for memory, or it has swapped much out and has little left.

Linux tells the share of time in which nothing but waiting for memory was done (pressure stall information), macOS a
level. Where a system tells neither, little available memory together with much swap counts.

What to do: stop a peer, or lower its batch size, before the machine ends a program of its own choice or stands still;
`peerwatch plan` says how many peers fit.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive

# Apple's kern.memorystatus_vm_pressure_level: 1 normal, 2 warning, 4 critical.
MACOS_CRITICAL = 4


class Settings(RuleSettings):
    """Thresholds of HostMemoryPressure, as shares of time and of the machine's memory."""

    for_: Duration = Field(default=120.0, alias="for")
    recover_after: Duration = 300.0
    stalled: float = Field(default=0.1, gt=0, le=1, description="share of time in which all programs wait for memory")
    available: float = Field(default=0.05, ge=0, le=1, description="memory left, as a share, that is little")
    swapped: float = Field(default=0.25, ge=0, description="swap in use, as a share of the memory, that is much")


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    total = page.value("host_memory_total_bytes") if page else None
    available = page.value("host_memory_available_bytes") if page else None
    if page is None or not total or available is None:
        return UNKNOWN
    stalled = page.value("host_memory_pressure_ratio", kind="full") or 0.0
    level = page.value("host_memory_pressure_level") or 0.0
    swap = page.value("host_swap_used_bytes") or 0.0
    measured = say(
        "{available:.0%} of the machine's memory is left, and swap holds {swap:.2f} GiB",
        available=available / total,
        swap=swap / 2**30,
    )
    if stalled >= settings.stalled:
        return active(
            say("Programs wait for memory {stalled:.0%} of the time; {measured}.", stalled=stalled, measured=measured)
        )
    if level >= MACOS_CRITICAL:
        return active(say("The system reports critical memory pressure; {measured}.", measured=measured))
    if available <= settings.available * total and swap >= settings.swapped * total:
        return active(say("The machine is nearly out of memory: {measured}.", measured=measured))
    return inactive(say("{measured}.", measured=measured))


RULE = Rule(
    settings=Settings,
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
)
""",
)
