"""A machine elsewhere does not answer: none of its sidecars can be reached.

The machine is off, has lost its network, or its sidecars have all ended. Its peers' own alerts are held back meanwhile.

What to do: see whether the machine runs and can be reached from here; then `peerwatch status` on it.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive, peer_down, unknown


class Settings(RuleSettings):
    """Thresholds of HostDown."""

    for_: Duration = Field(default=15.0, alias="for")
    recover_after: Duration = 30.0
    unreachable_after: Duration = Field(default=60.0, description="time without an answer of any sidecar that counts")


def judge(view: View, settings: Settings) -> Verdict:
    if view.page is not None:
        return UNKNOWN if view.page.is_empty() else inactive(say("The machine answers."))
    if view.unreachable_seconds < settings.unreachable_after:
        return unknown(until=view.now - view.unreachable_seconds + settings.unreachable_after)
    return active(
        say(
            "No sidecar of the machine answers for {time} ({failure}); limit {limit}.",
            time=Seconds(view.unreachable_seconds),
            failure=view.failure,
            limit=Seconds(settings.unreachable_after),
        ),
        since=view.now - view.unreachable_seconds,
    )


RULE = Rule(
    settings=Settings,
    judge=judge,
    scope="host",
    inhibits=("PeerDown", "PeerFailed", "ProgressMissing", *peer_down.RULE.inhibits),
    doc=__doc__ or "",
)
