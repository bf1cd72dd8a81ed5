"""The completion repeats the question that the group tries to answer."""

from trainer.rewards import Judge
from trainer.stages.row import Row
from trainer.stages.stage import Stage
from trainer.stages.tags import between


def score(completion: str, row: Row, stage: Stage, judge: Judge) -> float | None:
    """1 for the very question, half for one that holds it; applies to the stage that asks for it."""
    if "question" not in stage.tags:
        return None
    written = " ".join((between(completion, "question") or "").split())
    question = " ".join(row.question.split())
    return 1.0 if written == question else 0.5 * float(question in written)
