"""`step:59 - actor/pg_loss:-0.01 - critic/rewards/mean:0.5`, as verl prints, often behind Ray's `(TaskRunner pid=1)`.

Source: verl/utils/logger/aggregate_logger.py (`concat_dict_to_str`: `pprint.pformat` of numbers, so numpy's appear as
`np.float64(0.5)`; earlier releases print three decimals).
"""

import re
from collections.abc import Iterable

from exporter.progress.formats import MAX_VALUES, Printed, read_number

_LINE = re.compile(r"(?:^|[ )])step:(\d{1,15}) - (\S.*)")


class Format:
    markers: tuple[bytes, ...] | None = (b"step:",)

    def is_open(self) -> bool:
        return False

    def parse(self, line: str) -> Iterable[Printed]:
        found = _LINE.search(line)
        if not found:
            return ()
        pairs = (pair.rpartition(":") for pair in found[2].split(" - ", MAX_VALUES)[:MAX_VALUES])
        values = {name: number for name, _, text in pairs if name and (number := read_number(text)) is not None}
        return (Printed(values, int(found[1])),) if values else ()
