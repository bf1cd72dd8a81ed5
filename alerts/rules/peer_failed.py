"""The trainer ended by itself, and not because it had finished.

Its exit code is known where Peerwatch started it (`kind: command`, `peerwatch watch`), and a kill for memory where the
kernel tells it. A trainer that was stopped (SIGTERM, Ctrl-C), or ended with 0, has not failed.

What to do: read the last lines of its log for the first error; after a kill for memory give it less to do (batch size,
completion length, a smaller model) or more memory; then start it again.
"""

import signal

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive

# Exit codes of a trainer that somebody has stopped: 128 and the signal.
STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


class Settings(RuleSettings):
    """PeerFailed has no thresholds: an exit code is a fact."""

    recover_after: Duration = 30.0


def judge(view: View, _settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if page.is_up():
        return inactive(say("Trainer running."))
    code, since = page.value("trainer_exit_code"), page.value("trainer_end_timestamp_seconds")
    if page.value("trainer_oom_killed") and code in (None, 128 + signal.SIGKILL):
        return active(say("The kernel killed the trainer: out of memory."), since=since)
    if code is None:
        return inactive(say("How the trainer ended is not known."))
    if code == 0:
        return inactive(say("Trainer finished."))
    if code in STOPPED:
        return inactive(say("Trainer was stopped."))
    if code > 128:
        return active(say("Trainer ended by signal {signal}.", signal=_name_signal(int(code) - 128)), since=since)
    return active(say("Trainer ended with exit code {code:.0f}.", code=code), since=since)


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


RULE = Rule(
    settings=Settings,
    chart="memory",
    judge=judge,
    evidence=("log",),
    inhibits=("PeerDown",),
    doc=__doc__ or "",
    reads=("trainer_end_timestamp_seconds", "trainer_exit_code", "trainer_oom_killed"),
    promql=f"""
trainer_up == 0
and on (instance) (
  (trainer_exit_code > 0) != {STOPPED[0]} != {STOPPED[1]}
  or trainer_oom_killed == 1 unless on (instance) (trainer_exit_code != {128 + signal.SIGKILL})
)
""",
)
