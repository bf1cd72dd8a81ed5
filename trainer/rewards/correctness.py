"""The task's own score of the answer: 1 if correct, for many tasks a fraction if close."""

from trainer.rewards import Judge
from trainer.stages.tags import marked_answer


def score(completion: str, answer: str, judge: Judge) -> float:
    """Judges the last <answer>…</answer> of the completion, or all of it if there is none."""
    return judge(marked_answer(completion))
