"""When a source is read again, and what stays of it after a failure."""

from collections.abc import Sequence
from typing import NamedTuple

from exporter.sources import Source, SourceError, Standing

MAX_BACK_OFF_SECONDS = 3600.0


class Report(NamedTuple):
    """The newest known standings; those of a failed read are the ones from before, with their own `read_at`.

    `is_up` is whether the last read succeeded, None before the first; `success_at` is the Unix time of the last one
    that did, and `problem` why the last one did not, in one line.
    """

    standings: tuple[Standing, ...] = ()
    is_up: bool | None = None
    success_at: float | None = None
    problem: str | None = None


class LastValues:
    """Asks a source no more often than it allows; a failed read is neither zero nor a lost rank."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._report = Report()
        self._read_at: float | None = None
        self._limits = 0

    def read(self, peer_ids: Sequence[str], now: float) -> Report:
        """What is known of these peers at the Unix time `now`."""
        if self._is_due(now):
            self._read_at = now
            self._report = self._read_source(peer_ids, now)
        asked = set(peer_ids)
        return self._report._replace(
            standings=tuple(standing for standing in self._report.standings if standing.peer_id in asked)
        )

    def _is_due(self, now: float) -> bool:
        """After a 429 the time doubles. A clock that was put back does not stop the reads."""
        pause = self._source.interval_seconds * 2 ** min(self._limits, 16)
        longest = max(MAX_BACK_OFF_SECONDS, self._source.interval_seconds)
        return self._read_at is None or not 0 <= now - self._read_at < min(pause, longest)

    def _read_source(self, peer_ids: Sequence[str], now: float) -> Report:
        try:
            standings = self._source.read(peer_ids, now)
        except SourceError as error:
            self._limits = self._limits + 1 if error.is_limit else 0
            return Report(self._merge(error.standings), False, self._report.success_at, str(error))
        except Exception as error:  # noqa: BLE001 the fence of all sources: a mistake in one is its failed read
            return self._report._replace(is_up=False, problem=f"{type(error).__name__}: {str(error)[:200]}")
        self._limits = 0
        return Report(tuple(standings), True, now)

    def _merge(self, partial: Sequence[Standing]) -> tuple[Standing, ...]:
        known = {(standing.peer_id, standing.contract): standing for standing in self._report.standings}
        known |= {(standing.peer_id, standing.contract): standing for standing in partial}
        return tuple(known.values())
