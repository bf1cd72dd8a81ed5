"""The completion chooses a correct answer, or says rightly that none is."""

from trainer.rewards import Judge
from trainer.stages.row import Row
from trainer.stages.stage import Stage
from trainer.stages.tags import NONE, between, marked_answer, read_choice


def score(completion: str, row: Row, stage: Stage, judge: Judge) -> float | None:
    """The task's score of the chosen answer; 1 for none where none is right."""
    if stage.choice_tag is None or not row.students:
        return None
    choice = read_choice(between(completion, stage.choice_tag))
    if choice == NONE:
        return float(not any(judge(marked_answer(text)) >= 1.0 for text in row.students.values()))
    chosen = row.students.get(choice or "")
    return 0.0 if chosen is None else judge(marked_answer(chosen))
