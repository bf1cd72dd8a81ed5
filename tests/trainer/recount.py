"""What a peer earned, from its log alone."""

import re
from collections.abc import Iterable

from trainer.protocol import RoundAndStage

_STEP = re.compile(r"\bround=(\d+) stage=(\d+) stage_reward=(-?[\d.]+)")
_RESUMED = re.compile(r"\bevent=progress_resumed sums=(\S+)")
_SUM = re.compile(r"(\d+)/(\d+):(-?[\d.]+)")


def recount(lines: Iterable[str]) -> dict[RoundAndStage, float]:
    """The peer's sum of each stage. What a kill took before it was saved is not counted: the next start says so."""
    sums: dict[RoundAndStage, float] = {}
    for line in lines:
        resumed = _RESUMED.search(line)
        if resumed:
            saved = {RoundAndStage(int(n), int(stage)): float(sum_) for n, stage, sum_ in _SUM.findall(resumed[1])}
            sums = {at: sum_ for at, sum_ in sums.items() if saved and at < min(saved)} | saved
        elif found := _STEP.search(line):
            sums[RoundAndStage(int(found[1]), int(found[2]))] = float(found[3])
    return sums
