"""When a trainer wrote something, as it tells: seconds since 1970, ISO times with and without zone, clock times."""

import math
from datetime import UTC, datetime, time, timedelta, tzinfo

# A trainer's clock may be ahead of this machine's by so much.
AHEAD_SECONDS = 60.0

# Below, a number counts from the start of the run or is a duration; above, it is none of the units.
_UNITS = ((1e8, 1.0), (1e11, 1e3), (1e14, 1e6), (1e17, 1e9))
_HIGHEST = 1e20
_DAY = timedelta(days=1)


def find_zone(name: object) -> tzinfo:
    """The zone of an option's value; raises ValueError."""
    import zoneinfo  # Only who names a zone pays for it.

    try:
        return UTC if name == "UTC" else zoneinfo.ZoneInfo(str(name))
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError(f"zone: {str(name)[:64]!r} is not a time zone, such as Europe/Berlin or UTC") from None


def read_time(value: object, reference: float, zone: tzinfo | None = None) -> float | None:
    """The Unix time that a value tells; None for what tells none.

    A time without zone is in `zone`, or in that of this machine; one without date is the last such time before
    `reference`, a Unix time shortly after it was written. So is one that a change of the clocks makes ambiguous.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _read_number(value, reference)
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        return _read_text(value.strip(), reference, zone)
    except (ValueError, OverflowError, OSError):
        return None


def _read_number(value: float, reference: float) -> float | None:
    if not math.isfinite(value) or value >= _HIGHEST:
        return None
    factor = next((factor for lowest, factor in reversed(_UNITS) if value >= lowest), None)
    return None if factor is None else _choose([value / factor], reference)


def _read_text(text: str, reference: float, zone: tzinfo | None) -> float | None:
    if text.replace(".", "", 1).isdecimal() and len(text) >= 9:
        return _read_number(float(text), reference)
    if text[2:3] == ":":
        return _find_last(time.fromisoformat(text), reference, zone)
    written = datetime.fromisoformat(text)
    if written.tzinfo is not None:
        return _choose([written.timestamp()], reference)
    return _choose(_instants(written, zone), reference)


def _find_last(written: time, reference: float, zone: tzinfo | None) -> float | None:
    """The last instant before the reference at which clocks showed this time."""
    today = datetime.fromtimestamp(reference + AHEAD_SECONDS, written.tzinfo or zone)
    instants = []
    for day in (today - _DAY, today):
        instants += _instants(datetime.combine(day.date(), written), zone)
    return _choose(instants, reference)


def _instants(written: datetime, zone: tzinfo | None) -> list[float]:
    """The instants at which clocks show this time: two in the hour that comes twice."""
    if written.tzinfo is None and zone is not None:
        written = written.replace(tzinfo=zone)
    return [written.replace(fold=fold).timestamp() for fold in (0, 1)]


def _choose(instants: list[float], reference: float) -> float | None:
    """The latest that is not in the future; None where all are: then the zone is another."""
    return max((instant for instant in instants if instant <= reference + AHEAD_SECONDS), default=None)
