"""`Iter 10: Train loss 1.234, Learning Rate 1e-05, …`, and for GRPO a block of lines below `Iter 10:`, as MLX prints.

Sources: mlx_lm/tuner/trainer.py and mlx_lm_lora/trainer/sft_trainer.py (one line), mlx_lm_lora/trainer/grpo_trainer.py
(`tqdm.write` of the block between lines of `=`; mean and spread are printed as `μ=0.500, σ=0.100`).
"""

import re
from collections.abc import Iterable

from exporter.progress.formats import MAX_VALUES, NUMBER, Printed, read_field, read_number

_HEAD = re.compile(r"^\s{0,400}Iter (\d{1,15}):\s*(.*)$")
_ENTRY = re.compile(r"[\s•]{0,16}([A-Za-z][\w ]{0,60}?):\s{1,8}" + NUMBER + "(%?)")
_SPREAD = re.compile(
    r"^[\s•]{0,16}([A-Za-z][\w ]{0,60}?):\s{1,8}μ=([-+]?(?:[\d.]{1,20}|nan|inf)), σ=([-+]?(?:[\d.]{1,20}|nan|inf))"
)
_END = "===="
# A block has 23, and one more for each reward function.
_MOST_LINES = 200


class Format:
    markers: tuple[bytes, ...] | None = (b"Iter ",)

    def __init__(self) -> None:
        self._step: int | None = None
        self._lines = 0
        self._values: dict[str, float] = {}

    def is_open(self) -> bool:
        return self._step is not None

    def parse(self, line: str) -> Iterable[Printed]:
        head = _HEAD.match(line)
        if head:
            ended = self._finish()
            if head[2]:
                return [*ended, *_read_line(int(head[1]), head[2])]
            self._step, self._lines = int(head[1]), 0
            return ended
        if self._step is None:
            return ()
        self._lines += 1
        if line.startswith(_END) or self._lines > _MOST_LINES:
            return self._finish()
        self._add(line)
        return ()

    def _add(self, line: str) -> None:
        spread = _SPREAD.match(line)
        entry = None if spread else _ENTRY.match(line)
        if spread:
            self._note(spread[1], spread[2])
            self._note(f"{spread[1]} σ", spread[3])
        elif entry:
            self._note(entry[1], entry[2], 0.01 if entry[3] else 1.0)

    def _note(self, name: str, text: str, factor: float = 1.0) -> None:
        number = read_number(text)
        if number is not None:
            self._values[name] = number * factor

    def _finish(self) -> list[Printed]:
        step, values = self._step, self._values
        self._step, self._values = None, {}
        return [Printed(values, step)] if values else []


def _read_line(step: int, text: str) -> list[Printed]:
    if not text.startswith("Train loss"):
        return []
    values: dict[str, float] = {}
    for field in text.split(",", MAX_VALUES)[:MAX_VALUES]:
        values |= read_field(field)
    return [Printed(values, step)] if values else []
