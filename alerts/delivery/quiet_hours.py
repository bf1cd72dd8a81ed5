"""Times of day in a time zone: quiet hours and the daily digest. Pure; correct across daylight-saving changes."""

from datetime import date, datetime, time, timedelta, tzinfo
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from alerts.i18n.zones import ZoneName, find_zone
from alerts.rules import Severity


def _parse_time(value: object) -> time:
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
    """When a route is notified only of the severities in `bypass`; the rest is held and sent as one at the end."""

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
        """Whether these are quiet hours.

        Each night runs from one instant to another. A time of day that occurs twice is its first occurrence; one that
        is skipped is as far after the change.
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
    """The latest occurrence of this time of day, not after now."""
    today = datetime.fromtimestamp(now, zone).date()
    moments = [instant(today - timedelta(days=back), at, zone) for back in (0, 1)]
    return next(moment for moment in moments if moment <= now)
