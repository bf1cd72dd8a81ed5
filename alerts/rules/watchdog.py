"""The alert loop works: this alert always fires.

Route it to a service that raises the alarm when it stops coming; it shows on no page. It is off unless switched on.

What to do: nothing; when it stays away, look whether the alert loop runs and whether its machine has a network.
"""

from alerts.i18n.translatable import say
from alerts.rules import Rule, RuleSettings, Severity, Verdict, View, active


class Settings(RuleSettings):
    """Watchdog is for those who have a service that waits for it."""

    enabled: bool = False
    severity: Severity = "info"


def judge(_view: View, _settings: Settings) -> Verdict:
    return active(say("The alert loop watches."))


RULE = Rule(settings=Settings, judge=judge, doc=__doc__ or "", scope="host", is_problem=False, promql="vector(1)")
