"""The completion has the form that its stage asks for."""

from trainer.rewards import Judge
from trainer.stages.row import Row
from trainer.stages.stage import Stage
from trainer.stages.tags import share_of_format


def score(completion: str, row: Row, stage: Stage, judge: Judge) -> float:
    """The share of the stage's tags that stand where they belong."""
    return share_of_format(completion, stage.tags)
