"""A dense reward, 0 to 1, for a completion with the answer's kinds of characters and its length.

A model that is rarely correct still learns from it, because each character counts.
"""

from trainer.rewards import Judge
from trainer.stages.tags import marked_answer


def score(completion: str, answer: str, judge: Judge) -> float:
    """The share of characters of the answer's kinds; half of it depends on how close the lengths are.

    Judges the last <answer>…</answer> of the completion, or all of it if there is none.
    """
    completion = marked_answer(completion) if "</answer>" in completion else completion
    if not completion or not answer:
        return 0.0
    kinds = {_kind(character) for character in answer}
    share = sum(_kind(character) in kinds for character in completion) / len(completion)
    closeness = min(len(completion), len(answer)) / max(len(completion), len(answer))
    return share * (0.5 + 0.5 * closeness)


def _kind(character: str) -> str:
    if character.isdecimal():
        return "digit"
    return "letter" if character.isalpha() else character
