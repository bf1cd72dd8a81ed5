"""The progress bar of training among the others that a log holds, as tqdm draws it.

    Training Progress:   5%|▌         | 1/20 [00:01<00:33,  1.76s/it]

Source: tqdm/std.py (`format_meter`). It begins with a carriage return, so the newest has no end yet. transformers draws
one without a name, ms-swift `Train` (`ProgressCallback` of both), verl `Training Progress`, mlx-lm-lora `Training`. An
evaluation's has no name either in transformers, but stands one line lower: the cursor goes up behind it.
"""

import re
from typing import NamedTuple

_BAR = re.compile(
    r"^\s*(?:([^|%]{0,80}?): *)?\d{1,3}%\|[^|]{0,400}\| *(\d{1,15})/(\d{1,15}) "
    r"\[(?:\d{1,6}:)?\d\d:\d\d<[^\]]{0,400}\]?"
)
_NAMES = frozenset({"", "train", "training", "training progress"})


class Bar(NamedTuple):
    """A bar of an unnamed task, or of training: steps done of a total."""

    step: int
    total_steps: int


MARKER = b"%|"
_CURSOR_UP = "\x1b[A"
_COLOURS = re.compile(r"\x1b\[[0-9;?]{0,32}[ -/]?[@-~]")


def plain(text: str) -> str:
    """A text without colours and moves of the cursor."""
    return _COLOURS.sub("", text) if "\x1b" in text else text


def cut(text: str) -> tuple[str, Bar | None]:
    """A piece of a line, plain and without the bar that it begins with, and the bar if it may be that of training."""
    shown = plain(text)
    found = _BAR.match(shown) if "%" in shown else None
    if not found:
        return shown, None
    is_training = (found[1] or "").strip().lower() in _NAMES and _CURSOR_UP not in text
    return shown[found.end() :].lstrip(), Bar(int(found[2]), int(found[3])) if is_training else None


class TrainingBar:
    """Which of the unnamed bars is that of training: the first, or that which is drawn behind a report of training."""

    def __init__(self) -> None:
        self.last: Bar | None = None
        self._is_sure = False

    def accept(self, bar: Bar, *, with_report: bool) -> bool:
        """Whether this is the bar of training; `with_report`: a report of training stands right before it."""
        self._is_sure |= with_report
        ended = self.last is not None and self.last.step >= self.last.total_steps and not self._is_sure
        if self.last is None or self.last.total_steps == bar.total_steps or with_report or ended:
            self.last = bar
            return True
        return False
