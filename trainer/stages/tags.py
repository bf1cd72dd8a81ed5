"""The markup of completions in rl-swarm v0.4: which answer, which choice; pure."""

import re
from collections.abc import Sequence

NONE = "None"

_CHOICE = re.compile(r"(?i)\bstudent\s*#?\s*(\d{1,3})\b")
_NO_CHOICE = re.compile(r"(?i)\bnone\b")


def between(text: str, tag: str) -> str | None:
    """What the last <tag>…</tag> of the text holds, stripped; None without one."""
    end = text.rfind(f"</{tag}>")
    begin = text.rfind(f"<{tag}>", 0, end) if end >= 0 else -1
    return text[begin + len(tag) + 2 : end].strip() if begin >= 0 else None


def marked_answer(completion: str) -> str:
    """What the last <answer>…</answer> holds, or the whole completion without one."""
    marked = between(completion, "answer")
    return completion.strip() if marked is None else marked


def read_choice(text: str | None) -> str | None:
    """The chosen answer as `Student #2`, or `None` where no answer is right; None if nothing was chosen."""
    if not text:
        return None
    found = _CHOICE.search(text)
    if found:
        return f"Student #{int(found[1])}"
    return NONE if _NO_CHOICE.search(text) else None


def share_of_format(completion: str, tags: Sequence[str]) -> float:
    """0 to 1: the share of tags that stand in the text exactly once, opened and closed, in their order."""
    at, kept = 0, 0
    for tag in tags:
        begin, end = completion.find(f"<{tag}>", at), completion.find(f"</{tag}>", at)
        is_single = completion.count(f"<{tag}>") == completion.count(f"</{tag}>") == 1
        if is_single and at <= begin < end:
            kept, at = kept + 1, end
    return kept / len(tags)


def tagged(tag: str, text: str) -> str:
    """The text between this tag, on lines of its own, as the swarm's readers expect it."""
    return f"<{tag}>\n{text}\n</{tag}>"
