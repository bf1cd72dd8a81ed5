"""Whether a trainer that has reported nothing for long works or rests, by the processor time of its processes. Pure."""

from typing import Any, NamedTuple

from alerts.i18n.translatable import Seconds, Text, say
from alerts.rules import Memory, View
from alerts.scraping.page import Page

# Hung processes still wake up now and then; busy ones use far more than this share of a core.
IDLE_SHARE = 0.02
# Of what the trainer used until it fell silent.
USUAL_SHARE = 0.1
# A shorter observation tells the collection interval more than the trainer.
LEAST_SECONDS = 1.0


class Activity(NamedTuple):
    """CPU seconds used since the silence became long, in how many seconds, and whether that is work."""

    used: float
    seconds: float
    is_busy: bool


def find_progress(page: Page) -> float:
    """The later of the last step and the start of the phase, as Unix time."""
    return max(
        page.value("trainer_last_step_timestamp_seconds") or 0.0,
        page.value("trainer_phase_start_timestamp_seconds") or 0.0,
    )


def remember_silence(view: View, limit_seconds: float | None) -> Memory:
    """The CPU time at the first sample of a silence half as long as is allowed; nothing while the peer steps."""
    page = view.page
    if page is None:
        return view.memory
    progress, cpu = find_progress(page), page.value("trainer_cpu_seconds_total")
    if view.memory.get("progress") == progress and cpu is not None and cpu >= view.memory["cpu"]:
        return view.memory
    if cpu is None or limit_seconds is None or view.now - progress < limit_seconds / 2:
        return {}
    memory: dict[str, Any] = {"progress": progress, "at": view.now, "cpu": cpu}
    started = page.value("trainer_start_timestamp_seconds")
    if started is not None and progress > started:
        memory["usual"] = cpu / (view.now - started)
    return memory


def find_activity(view: View) -> Activity | None:
    """What it has done since; None while that is not known."""
    cpu = view.page.value("trainer_cpu_seconds_total") if view.page else None
    before, seconds = view.memory.get("cpu"), view.now - view.memory.get("at", view.now)
    if cpu is None or before is None or seconds < LEAST_SECONDS:
        return None
    used = max(0.0, cpu - before)
    least = max(IDLE_SHARE, USUAL_SHARE * view.memory.get("usual", 0.0))
    return Activity(used, seconds, used >= least * seconds)


def describe_activity(activity: Activity) -> Text:
    """The same in a sentence."""
    if activity.is_busy:
        return say("CPU busy: {used:.1f} s used in {time}.", used=activity.used, time=Seconds(activity.seconds))
    return say("CPU idle: {used:.1f} s used in {time}.", used=activity.used, time=Seconds(activity.seconds))
