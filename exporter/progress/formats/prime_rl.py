"""`12:03:07 SUCCESS Step 5 |   1.20s | Loss 0.1000 | Entropy 0.5000 | LR 1.00e-06`, as prime-rl prints it; others too.

Sources: prime_rl/trainer/rl/train.py and prime_rl/orchestrator/orchestrator.py (`step_message`; earlier releases print
`Loss: 0.1000` and `Time: 1.20s`), prime_rl/utils/logger.py (the clock time before it, or one JSON object a line).
"""

import re
from collections.abc import Iterable

from exporter.progress.formats import MAX_VALUES, Printed, read_field

_LINE = re.compile(r"(?<!Micro )\bStep:? (\d{1,15})(?:/(\d{1,15}))? ?\|([^\"]*)")
# How the step took: `1.20s`, `2m 03s`; only the first is a plain number.
_SECONDS = re.compile(r"^\s{0,8}(?:Time:?\s{1,8})?(\d{1,9}(?:\.\d{1,9})?)s\s{0,8}$")


class Format:
    markers: tuple[bytes, ...] | None = (b"Step",)

    def is_open(self) -> bool:
        return False

    def parse(self, line: str) -> Iterable[Printed]:
        found = _LINE.search(line)
        if not found:
            return ()
        values: dict[str, float] = {}
        for field in found[3].split("|", MAX_VALUES)[:MAX_VALUES]:
            seconds = _SECONDS.match(field)
            values |= {"Time": float(seconds[1])} if seconds else read_field(field)
        return (Printed(values, int(found[1]), int(found[2]) if found[2] else None),) if values else ()
