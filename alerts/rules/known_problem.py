"""A known problem goes on although the trainer progresses.

Rounds may advance while nothing is learned, shared or credited: the trainer logs an error in each and continues. Only
problems that progress does not end count, and only those whose lines come again and again; a single one is an accident.
Where the trainer makes no progress, PeerStalled and ProgressMissing name the problem.

What to do: follow the remedy that the alert names; the trainer's log has the error itself above the line.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.rules._problems import LAST, LINES, START, list_problems
from exporter.problems.classes import CLASSES


class Settings(RuleSettings):
    """An hour holds several rounds, and no submission that failed once."""

    severity: Severity = "warning"
    recover_after: Duration = 60.0
    after: Duration = Field(default=3600.0, description="time between the first and the last line of the problem")


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    begun = dict(list_problems(page, START))
    lasting = [
        (last - begun[problem], problem)
        for problem, last in list_problems(page, LAST)
        if problem.outlives_progress and problem in begun and last - begun[problem] >= settings.after
    ]
    if not lasting:
        return inactive(say("No known problem lasts."))
    seconds, problem = max(lasting, key=lambda pair: pair[0])
    return active(
        say(
            "Known problem for {time}, while rounds go on: {problem}. Remedy: {remedy}.",
            time=Seconds(seconds),
            problem=say(problem.message),
            remedy=say(problem.remedy),
        ),
        since=begun[problem],
    )


_PERSISTENT = "|".join(one.name for one in CLASSES if one.outlives_progress)

RULE = Rule(
    settings=Settings,
    judge=judge,
    doc=__doc__ or "",
    promql=f"""
max without (problem) (
  {LAST}{{problem=~"{_PERSISTENT}"}} - {START} >= %(after_seconds)d
)
and on (instance) trainer_up == 1
""",
    reads=(LINES, START, LAST),
)
