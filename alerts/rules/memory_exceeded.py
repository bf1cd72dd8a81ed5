"""The peer's memory footprint is at its limit, or nearly.

The footprint counts the trainer with its child processes as the OOM killer does. Where it cannot be read, as of another
user's process, the resident size stands in, which counts shared pages for each process. Between the threshold and
`hysteresis` below it the rule keeps its last verdict.

What to do: lower the batch size or the sequence length (of a trainer that generates, the number or length of its
completions), choose a smaller model, or run fewer peers on this host; a restart frees the memory for now, but loses the
steps since the last checkpoint.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive

GIB = 2**30


class Settings(RuleSettings):
    """Thresholds of MemoryExceeded, as fractions of the peer's memory limit."""

    for_: Duration = Field(default=15.0, alias="for")
    recover_after: Duration = 15.0
    fraction: float = Field(default=0.95, gt=0, le=2, description="share of the limit at which it fires")
    hysteresis: float = Field(default=0.05, ge=0, lt=1, description="how far below that share it ends")


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    footprint = page.value("trainer_memory_bytes", kind="footprint")
    limit = page.value("trainer_memory_limit_bytes")
    if footprint is None or limit is None or limit <= 0:
        return UNKNOWN
    share = footprint / limit
    template = "Memory {used:.2f} GiB, {share:.0%} of the limit of {limit:.2f} GiB."
    if page.value("trainer_memory_estimated_processes"):
        template = "Memory {used:.2f} GiB (resident size), {share:.0%} of the limit of {limit:.2f} GiB."
    measured = say(template, used=footprint / GIB, share=share, limit=limit / GIB)
    if share >= settings.fraction:
        return active(measured)
    if share < settings.fraction - settings.hysteresis:
        return inactive(measured)
    return UNKNOWN


RULE = Rule(
    settings=Settings,
    chart="memory",
    judge=judge,
    evidence=("biggest",),
    restart="after a checkpoint",
    doc=__doc__ or "",
    reads=("trainer_memory_estimated_processes",),
    promql="""
trainer_memory_bytes{kind="footprint"}
  >= on (instance) group_left () (%(fraction)g * (trainer_memory_limit_bytes > 0))
and on (instance) trainer_up == 1
""",
    keeps="""
trainer_memory_bytes{kind="footprint"}
  >= on (instance) group_left () ((%(fraction)g - %(hysteresis)g) * (trainer_memory_limit_bytes > 0))
and on (instance) trainer_up == 1
or trainer_up == 1 unless on (instance) trainer_memory_bytes{kind="footprint"}
or trainer_up == 1 unless on (instance) trainer_memory_limit_bytes > 0
""",
)
