"""The number of the latest push of each machine, so that none is taken twice, over restarts too."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.machine.push_format import MAX_SEQUENCE
from exporter.run_folder import read_bounded, write_atomically

FILE = "pushes.json"
MAX_BYTES = 1 << 20
# Numbers are kept so many at a time: the file is written once for all of them.
BLOCK = 1000

log = logging.getLogger(__name__)


class Sequences:
    """Says which number is next; those that were kept ahead are skipped after a restart."""

    def __init__(self, state_dir: Path, wall: Callable[[], float] = time.time) -> None:
        self._path = state_dir / FILE
        self._kept = dict(_read(self._path))
        # As there are fewer pushes than milliseconds, the clock is a floor as well: the disk may be full, or the clock
        # set back, but hardly both.
        self._floor = int(wall() * 1000)
        self._latest: dict[str, int] = {}

    def latest(self, machine: str) -> int:
        """The number of the machine's latest push; one that is never taken again."""
        return self._latest.get(machine) or max(self._kept.get(machine, 0), self._floor)

    def take(self, machine: str, number: int) -> bool:
        """Whether a push of this number is taken: it is later than the latest, and not by much."""
        latest = self.latest(machine)
        if not latest < number <= min(latest + BLOCK, MAX_SEQUENCE):
            return False
        self._latest[machine] = number
        if number >= self._kept.get(machine, 0):
            self._kept[machine] = number + BLOCK
            try:
                write_atomically(self._path, json.dumps(self._kept).encode(), mode=0o600)
            except OSError as error:
                log.warning("cannot write %s: %s", self._path, error)
        return True


def _read(path: Path) -> Mapping[str, int]:
    try:
        found = json.loads(read_bounded(path, MAX_BYTES))
        return {str(machine): int(number) for machine, number in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        log.warning("%s is not used: %s; what was pushed before this start is told by the clock", path, error)
        return {}
