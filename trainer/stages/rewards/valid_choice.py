"""The completion chooses one of the answers that it was shown, or says that none is right."""

from trainer.rewards import Judge
from trainer.stages.row import Row
from trainer.stages.stage import Stage
from trainer.stages.tags import NONE, between, read_choice


def score(completion: str, row: Row, stage: Stage, judge: Judge) -> float | None:
    """1 for a valid choice; does not apply where there is nothing to choose from."""
    if stage.choice_tag is None or not row.students:
        return None
    choice = read_choice(between(completion, stage.choice_tag))
    return float(choice == NONE or choice in row.students)
