"""The trainer works, but nothing is read of its progress.

Its processes use the processor as before, and none of its readers finds a report for longer than its pace explains, or
since it started: logging is off, it writes elsewhere, or the format has changed. A trainer that rests, or spins in one
thread as it never did while its readers can read, is PeerStalled's.

What to do: compare the peer's `progress:` with where the trainer writes now (`peerwatch attach` lists it); the log of
the sidecar names a reader that fails. If the trainer writes nothing, look at what it does before you end it.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, join, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.rules._activity import (
    describe_activity,
    find_activity,
    find_limit,
    find_progress,
    remember_silence,
    spins_instead,
)
from alerts.rules._problems import describe_problem
from alerts.scraping.page import Page


class Settings(RuleSettings):
    """Thresholds of ProgressMissing: a long evaluation or save is silent too, and works."""

    severity: Severity = "warning"
    recover_after: Duration = 30.0
    start_within: Duration = Field(default=1800.0, description="time from the trainer's start to its first report")


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    readers = page.value("trainer_progress_readers")
    if readers is None:
        return inactive(say("The trainer reports its progress itself."))
    if readers == 0:
        return inactive(say("Nothing is read of its progress as it goes."))
    limit = _find_limit(page, settings)
    progress = find_progress(page)
    if limit is None:
        return UNKNOWN
    silent_since = max(progress, view.clock_stepped_at)
    silence = view.now - silent_since
    if silence <= limit:
        return inactive(say("Progress is read again."), until=silent_since + limit)
    activity = find_activity(view)
    if activity is None:
        return UNKNOWN
    if page.state() != "starting":
        if not activity.is_busy:
            return inactive(say("Trainer idle."))
        if spins_instead(page, activity):
            return inactive(say("Trainer spins in one thread."))
    missing = say(
        "No report of progress read for {time} ({readers}); limit {limit}.",
        time=Seconds(silence),
        readers=", ".join(_describe_readers(page)),
        limit=Seconds(limit),
    )
    return active(join([missing, describe_problem(page), describe_activity(activity)]), since=progress)


def remember(view: View, settings: Settings) -> Memory:
    """What the trainer had used when its silence became long."""
    if view.page is None or not view.page.value("trainer_progress_readers"):
        return view.memory if view.page is None else {}
    return remember_silence(view, _find_limit(view.page, settings))


def _find_limit(page: Page, settings: Settings) -> float | None:
    if page.state() == "starting":
        return settings.start_within
    return find_limit(page)


def _describe_readers(page: Page) -> list[str]:
    """The names of the readers, with a mark at those that cannot read."""
    found = {dict(labels).get("reader", ""): up for labels, up in page.values("trainer_progress_up").items()}
    return [name if up else f"{name}: fails" for name, up in sorted(found.items())]


RULE = Rule(
    settings=Settings,
    chart="step rate",
    judge=judge,
    remember=remember,
    evidence=("process", "waiting", "log"),
    inhibits=("StepRateDegraded", "RewardStagnant", "KnownProblem"),
    doc=__doc__ or "",
    reads=("trainer_progress_readers", "trainer_progress_up"),
)
