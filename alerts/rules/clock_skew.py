"""The clock of a machine elsewhere differs from this one's.

Times that it tells are corrected by the difference, so that its peers are judged right all the same. Certificates,
tokens and the swarm's own time limits are not.

What to do: turn on time synchronisation there (`timedatectl set-ntp true`, or chrony; in a virtual machine also after
it was suspended), and see whether this machine's own clock is right.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Severity, Verdict, View, active, inactive


class Settings(RuleSettings):
    """Thresholds of ClockSkew."""

    severity: Severity = "warning"
    for_: Duration = Field(default=300.0, alias="for")
    recover_after: Duration = 300.0
    limit: Duration = Field(default=30.0, description="difference that counts")


def judge(view: View, settings: Settings) -> Verdict:
    lead = view.page.value("host_clock_lead_seconds") if view.page else None
    if lead is None:
        return UNKNOWN
    if abs(lead) < settings.limit:
        return inactive(say("The clocks agree within {limit}.", limit=Seconds(settings.limit)))
    measured = {"time": Seconds(abs(lead)), "limit": Seconds(settings.limit)}
    if lead > 0.0:
        return active(say("Its clock is {time} ahead; limit {limit}.", **measured))
    return active(say("Its clock is {time} behind; limit {limit}.", **measured))


RULE = Rule(
    settings=Settings,
    judge=judge,
    scope="host",
    doc=__doc__ or "",
    reads=("host_clock_lead_seconds",),
)
