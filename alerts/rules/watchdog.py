"""The alert loop works: this alert always fires.

Route it to a service that raises the alarm when it stops coming; it shows on no page. It is off by default.

What to do: nothing; when it stays away, check that the alert loop runs and that its machine has a network.
"""

from alerts.i18n.translatable import say
from alerts.rules import Rule, RuleSettings, Severity, Verdict, View, active


class Settings(RuleSettings):
    """Watchdog is for those who have a service that expects it."""

    enabled: bool = False
    severity: Severity = "info"


def judge(_view: View, _settings: Settings) -> Verdict:
    return active(say("Alert loop running."))


RULE = Rule(settings=Settings, judge=judge, doc=__doc__ or "", scope="host", is_problem=False, promql="vector(1)")
