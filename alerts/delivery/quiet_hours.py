"""Times of the day in a time zone: quiet hours and the moment of a daily message. Pure; holds when clocks change."""

from datetime import date, datetime, time, timedelta, tzinfo
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from alerts.i18n.zones import ZoneName, find_zone
from alerts.rules import Severity


def _parse_time(value: object) -> time:
    # YAML reads an unquoted 22:30 as a number of base 60.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    if isinstance(value, time):
        return value
    try:
        return datetime.strptime(str(value), "%H:%M").time()
    except ValueError:
        raise ValueError('not a time of day; write it like "22:30"') from None


TimeOfDay = Annotated[
    time, BeforeValidator(_parse_time), PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str)
]


class QuietHours(BaseModel):
    """When a route is told nothing but the severities of `bypass`; what came up is told at the end, at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay
    timezone: ZoneName | None = None
    bypass: tuple[Severity, ...] = ("critical",)

    @model_validator(mode="after")
    def _check_has_length(self) -> "QuietHours":
        if self.from_ == self.to:
            raise ValueError("`from` and `to` are the same; leave `quiet` out, or choose hours")
        return self

    def covers(self, now: float, default_zone: str | None = None) -> bool:
        """Whether it is quiet at this moment.

        Each night runs from one instant to another. A time of day that the clock shows twice is its first showing; one
        that it leaps over is as far after the leap.
        """
        zone = find_zone(self.timezone or default_zone)
        today = datetime.fromtimestamp(now, zone).date()
        for day in (today - timedelta(days=1), today):
            end = day if self.from_ < self.to else day + timedelta(days=1)
            if instant(day, self.from_, zone) <= now < instant(end, self.to, zone):
                return True
        return False


def instant(day: date, at: time, zone: tzinfo | None) -> float:
    """Epoch seconds of a time of day."""
    return datetime.combine(day, at, zone).timestamp()


def latest_occurrence(at: time, now: float, zone: tzinfo | None) -> float:
    """The latest moment, not after now, at which the clock showed this time of day."""
    today = datetime.fromtimestamp(now, zone).date()
    moments = [instant(today - timedelta(days=back), at, zone) for back in (0, 1)]
    return next(moment for moment in moments if moment <= now)
