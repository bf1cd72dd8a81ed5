"""The task's own score of the answer: 1 if correct, for many tasks a fraction if close."""

import re

from trainer.rewards import Judge

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def score(completion: str, answer: str, judge: Judge) -> float:
    """Judges the last <answer>…</answer> of the completion, or all of it if there is none."""
    marked = _ANSWER.findall(completion)
    return judge((marked[-1] if marked else completion).strip())
