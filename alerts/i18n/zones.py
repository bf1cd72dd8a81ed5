"""Time zones by name, as the configuration gives them."""

import zoneinfo
from datetime import tzinfo
from typing import Annotated

from pydantic import AfterValidator


def find_zone(name: str | None) -> tzinfo | None:
    """The zone of a name such as `Europe/Berlin`; None, which datetime takes for this host's zone, without a name."""
    if name is None:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; write it like Europe/Berlin or Asia/Shanghai") from None


def _check_zone(name: str) -> str:
    find_zone(name)
    return name


ZoneName = Annotated[str, AfterValidator(_check_zone)]
