"""The completion names the answer that most of the published judgements chose."""

from trainer.rewards import Judge
from trainer.stages.row import Row
from trainer.stages.stage import Stage
from trainer.stages.tags import between, read_choice


def score(completion: str, row: Row, stage: Stage, judge: Judge) -> float | None:
    """1 for the consensus; does not apply where the judgements chose nothing."""
    if stage.choice_tag is None or row.consensus is None:
        return None
    return float(read_choice(between(completion, stage.choice_tag)) == row.consensus)
