"""The trainer goes on without writing checkpoints, because its disk has too little room or takes no writes.

Nothing is lost yet. If the trainer ends now, it continues from its last checkpoint, and what it learned since is gone.

What to do: free space on the disk of the run folder: old checkpoints, logs and offline runs (wandb/offline-run-*);
check that the disk is not mounted read-only. The next save that fits ends this. `trainer.least_free_gib` is the space
that a checkpoint has to leave.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Severity, Verdict, View, active, inactive


class Settings(RuleSettings):
    """Thresholds of CheckpointsPaused."""

    severity: Severity = "warning"
    for_: Duration = Field(default=60.0, alias="for")
    recover_after: Duration = 60.0


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    paused = page.value("trainer_checkpoints_paused")
    if paused is None or not page.is_current():
        return UNKNOWN
    saved_at = page.value("trainer_checkpoint_timestamp_seconds")
    if not paused:
        return inactive(say("Checkpoints are written."))
    if saved_at is None:
        return active(say("No checkpoints are written; none has been since the trainer started."))
    return active(say("No checkpoints are written; the last one is {age} old.", age=Seconds(view.now - saved_at)))


RULE = Rule(
    settings=Settings,
    judge=judge,
    doc=__doc__ or "",
    reads=("trainer_checkpoints_paused", "trainer_checkpoint_timestamp_seconds"),
    promql="""
trainer_checkpoints_paused == 1
and on (instance) trainer_up == 1
and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
""",
    keeps="""
trainer_up == 1
unless on (instance) (
  trainer_checkpoints_paused
  and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
)
""",
)
