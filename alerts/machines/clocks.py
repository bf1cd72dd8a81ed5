"""By how much each machine's clock is ahead, kept over restarts: what began there did not begin at another time."""

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path

from exporter.run_folder import read_bounded, write_atomically

FILE = "clocks.json"
MAX_BYTES = 1 << 20

log = logging.getLogger(__name__)


class Clocks:
    """The file in the state folder. One that cannot be read or written costs the first seconds after a start."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self.leads: Mapping[str, float] = _read(self._path)

    def keep(self, leads: Mapping[str, float]) -> None:
        """Writes what has changed, once."""
        if leads == self.leads:
            return
        self.leads = leads
        try:
            write_atomically(self._path, json.dumps(leads).encode(), mode=0o600)
        except OSError as error:
            log.warning("cannot write %s: %s", self._path, error)


def _read(path: Path) -> Mapping[str, float]:
    try:
        found = json.loads(read_bounded(path, MAX_BYTES))
        leads = {str(machine): float(lead) for machine, lead in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        log.warning("%s is not used: %s; the clocks are compared again", path, error)
        return {}
    return {machine: lead for machine, lead in leads.items() if math.isfinite(lead)}
