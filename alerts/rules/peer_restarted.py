"""Peerwatch restarts the peer, because a rule with `restart: true` fires.

The alert lasts until the peer trains again and that rule has ended; its recovery says what the restart changed. What
the trainer did before it was ended is in restart.log in its run folder.

What to do: nothing now; if it comes again, look for the cause in restart.log and the trainer's log.
"""

from alerts.i18n.translatable import Seconds, Text, join, say
from alerts.restart_record import PHASE_METRIC, Record
from alerts.rules import UNKNOWN, Rule, RuleSettings, Severity, Verdict, View, active, inactive

GIB = 2**30


class Settings(RuleSettings):
    """PeerRestarted has no threshold of its own; each rule says whether it restarts the peer."""

    severity: Severity = "info"


def judge(view: View, _settings: Settings) -> Verdict:
    if view.page is None or view.page.is_empty():
        return UNKNOWN
    record = view.restart or Record()
    if view.page.value(PHASE_METRIC, phase="restarting") == 1:
        return active(join([_describe_cause(record), _describe_wait(record)]), since=record.since or None)
    if view.page.value(PHASE_METRIC, phase="useless") == 1:
        return inactive(say("The restart did not help."))
    return inactive(_describe_effect(record))


def _describe_cause(record: Record) -> Text:
    return say("Restarted because of {rule}: {summary}", rule=record.rule, summary=record.summary)


def _describe_wait(record: Record) -> Text | None:
    if record.waited_seconds < 1:
        return None
    return say("Waited {time} for a checkpoint.", time=Seconds(record.waited_seconds))


def _describe_effect(record: Record) -> Text:
    if record.outcome != "trains":
        return say("Not restarted.")
    after = Seconds(record.outcome_seconds)
    if record.memory_bytes is None or record.memory_after is None:
        return say("Training again {time} after the restart.", time=after)
    return say(
        "Training again {time} after the restart; memory from {before:.2f} to {after:.2f} GiB.",
        time=after,
        before=record.memory_bytes / GIB,
        after=record.memory_after / GIB,
    )


RULE = Rule(
    settings=Settings,
    judge=judge,
    evidence=("restart",),
    inhibits=("PeerDown",),
    doc=__doc__ or "",
    promql="""
alerts_restart_phase{phase="restarting"} == 1
""",
)
