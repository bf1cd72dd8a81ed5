"""The disk of the state folder is nearly full.

Checkpoints, logs and the alert loop's database live there. The limit is `least_gib` on any disk, or `fraction` of the
disk where that is more, but never above `enough_gib`: 5 % of a large disk is plenty.

What to do: delete old checkpoints, logs and, where wandb keeps them, offline runs (wandb/offline-run-*), or move the
state folder to a larger disk.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive

GIB = 2**30
# The alert ends once there is this much more room than the threshold.
HYSTERESIS = 1.1


class Settings(RuleSettings):
    """Thresholds of DiskLow."""

    for_: Duration = Field(default=60.0, alias="for")
    recover_after: Duration = 60.0
    least_gib: float = Field(default=1.0, ge=0, description="limit of free space in GiB on any disk")
    fraction: float = Field(default=0.05, ge=0, lt=1, description="limit of free space as a share of the disk")
    enough_gib: float = Field(default=10.0, ge=0, description="free space in GiB that is enough on any disk")


def judge(view: View, settings: Settings) -> Verdict:
    free_by_path = view.page.values("host_disk_free_bytes") if view.page else {}
    if view.page is None or not free_by_path:
        return UNKNOWN
    verdict = inactive()
    for labels, free in sorted(free_by_path.items(), key=lambda one: one[1]):
        path = dict(labels).get("path", "")
        total = view.page.value("host_disk_total_bytes", path=path) or 0.0
        limit = max(settings.least_gib * GIB, min(settings.fraction * total, settings.enough_gib * GIB))
        sizes = {"free": free / GIB, "limit": limit / GIB}
        if total:
            template = "{free:.2f} GiB of {total:.0f} GiB free on the disk of {path}; limit {limit:.2f} GiB."
            measured = say(template, total=total / GIB, path=path, **sizes)
        else:
            measured = say("{free:.2f} GiB free on the disk of {path}; limit {limit:.2f} GiB.", path=path, **sizes)
        if free < limit:
            return active(measured)
        if free < HYSTERESIS * limit:
            verdict = UNKNOWN
        elif verdict.condition == "inactive":
            verdict = inactive(verdict.summary or measured)
    return verdict


RULE = Rule(
    settings=Settings,
    chart="disk",
    judge=judge,
    doc=__doc__ or "",
    scope="host",
    promql="""
host_disk_free_bytes < %(least_gib)g * 2^30
or host_disk_free_bytes < %(enough_gib)g * 2^30 and host_disk_free_bytes < %(fraction)g * host_disk_total_bytes
""",
    keeps="""
host_disk_free_bytes < 1.1 * %(least_gib)g * 2^30
or host_disk_free_bytes < 1.1 * %(enough_gib)g * 2^30
  and host_disk_free_bytes < 1.1 * %(fraction)g * host_disk_total_bytes
""",
)
