"""Whether a trainer that has reported nothing for long works or rests, and how long it may. Pure.

Its sidecar tells, as it knows what is usual for the trainer; where it does not, the processor time tells that was used
since the silence became long.
"""

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
    """CPU seconds used since the silence became long, in how many seconds, and whether that is work.

    `state` is what the sidecar says, empty where it knows nothing; `cores` are in use now, `usual_cores` in this phase.
    """

    used: float
    seconds: float
    is_busy: bool
    state: str = ""
    cores: float | None = None
    usual_cores: float | None = None


def find_progress(page: Page) -> float:
    """The later of the last step and the start of the phase, as Unix time."""
    return max(
        page.value("trainer_last_step_timestamp_seconds") or 0.0,
        page.value("trainer_phase_start_timestamp_seconds") or 0.0,
    )


def find_limit(page: Page) -> float | None:
    """Seconds of silence that are a stall, by the trainer's pace, and by what its processes do where that is known."""
    by_pace = page.value("trainer_stall_after_seconds")
    return None if by_pace is None else page.value("trainer_activity_stall_after_seconds") or by_pace


def find_next_limit(page: Page, silence: float) -> float | None:
    """The next silence that may be a stall: what the processes do, and with it the limit, may change meanwhile."""
    limits = [find_limit(page)]
    if page.value("trainer_activity_cores") is not None:
        limits += [page.value("trainer_stall_at_rest_after_seconds"), page.value("trainer_stall_after_seconds")]
    return min((limit for limit in limits if limit is not None and limit > silence), default=None)


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
    page = view.page
    if page is None:
        return None
    state = _find_state(page)
    cpu = page.value("trainer_cpu_seconds_total")
    before, seconds = view.memory.get("cpu"), view.now - view.memory.get("at", view.now)
    is_measured = cpu is not None and before is not None and seconds >= LEAST_SECONDS
    if not (is_measured or state):
        return None
    used = max(0.0, (cpu or 0.0) - (before or 0.0)) if is_measured else 0.0
    least = max(IDLE_SHARE, USUAL_SHARE * view.memory.get("usual", 0.0))
    is_busy = state != "rest" if state else used >= least * seconds
    cores, usual = page.value("trainer_activity_cores"), page.value("trainer_activity_usual_cores")
    return Activity(used, seconds, is_busy, state, cores, usual)


def spins_instead(page: Page, activity: Activity) -> bool:
    """Whether one thread spins as it never did, and a reader that can read finds no progress: a busy deadlock."""
    return activity.state == "spinning" and any(page.values("trainer_progress_up").values())


def _find_state(page: Page) -> str:
    """What the sidecar says that it does; empty where it does not know."""
    states = page.values("trainer_activity_state")
    found = (dict(labels).get("trainer_activity_state", "") for labels, value in states.items() if value == 1)
    return next((state for state in found if state != "unknown"), "")


def describe_activity(activity: Activity) -> Text:
    """The same in a sentence."""
    if activity.state and activity.cores is not None and activity.usual_cores is not None:
        numbers = {"cores": activity.cores, "usual": activity.usual_cores}
        if activity.state == "rest":
            return say("CPU idle: {cores:.2f} cores in use, usually {usual:.2f}.", **numbers)
        if activity.state == "spinning":
            return say("CPU spinning in one thread: {cores:.2f} cores in use, usually {usual:.2f}.", **numbers)
        return say("CPU as busy as usual: {cores:.2f} cores in use, usually {usual:.2f}.", **numbers)
    if activity.is_busy:
        return say("CPU busy: {used:.1f} s used in {time}.", used=activity.used, time=Seconds(activity.seconds))
    return say("CPU idle: {used:.1f} s used in {time}.", used=activity.used, time=Seconds(activity.seconds))
