"""`Starting round: 12/1000000`, as rl-swarm 0.6 and later log it: there is no line for a step.

Source: genrl/logging_utils and rgym_exp/src/manager.py of rl-swarm. A trainer that waits for the swarm repeats `Already
finished round: 12`; that is no progress.
"""

import re
from collections.abc import Iterable

from exporter.progress.formats import Printed

_LINE = re.compile(r"\b(?:Starting|Joining) round: (\d{1,15})(?:/\d{1,15}|\b)(?! starting at stage)")


class Format:
    markers: tuple[bytes, ...] | None = (b" round: ",)

    def is_open(self) -> bool:
        return False

    def parse(self, line: str) -> Iterable[Printed]:
        found = _LINE.search(line)
        return (Printed({}, int(found[1]), unit="round"),) if found else ()
