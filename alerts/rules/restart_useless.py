"""The peer needs a person: a restart did not help, or its daily limit of restarts is reached.

Peerwatch leaves it as it is, for you to inspect. The alert ends with the one that requested a restart.

What to do: read restart.log, the trainer's log and the alert that fires, and remove the cause; then restart the peer
yourself.
"""

from alerts.i18n.translatable import Seconds, Text, join, say
from alerts.restart_record import PHASE_METRIC, Record
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive


class Settings(RuleSettings):
    """RestartUseless has no threshold of its own: see `restarts`."""


def judge(view: View, _settings: Settings) -> Verdict:
    if view.page is None or view.page.is_empty():
        return UNKNOWN
    if view.page.value(PHASE_METRIC, phase="useless") != 1:
        return inactive(say("The alert that requested a restart has ended."))
    record = view.restart or Record()
    request = say("Not restarted for {rule}: {summary}", rule=record.rule, summary=record.summary)
    return active(join([request, _describe_reason(record)]), since=record.since or None)


def _describe_reason(record: Record) -> Text | None:
    ago = Seconds(record.outcome_seconds)
    reasons = {
        "same reason": say("Restarted for the same reason {time} ago.", time=ago),
        "daily limit": say("Restarted {count} times in 24 h.", count=len(record.past)),
        "still fires": say("Still firing {time} after a restart.", time=ago),
        "does not train": say("Not training {time} after a restart.", time=ago),
    }
    return reasons.get(record.outcome)


RULE = Rule(
    settings=Settings,
    judge=judge,
    doc=__doc__ or "",
    promql="""
alerts_restart_phase{phase="useless"} == 1
""",
)
