"""How much of the past the alert loop keeps."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from alerts.durations import Duration


class HistorySettings(BaseModel):
    """How far back; beyond `max_megabytes` the oldest samples are thinned, then deleted."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keep: Annotated[Duration, Field(ge=3600)] = 30 * 86400.0
    max_megabytes: int = Field(default=200, ge=10)
