"""The result of an attempt to deliver a message."""

from typing import NamedTuple


class DeliveryResult(NamedTuple):
    """Whether the service accepted the message; if not, a reason without secrets and its Retry-After in seconds."""

    accepted: bool
    reason: str = ""
    retry_after_seconds: float | None = None
    is_rate_limited: bool = False
    is_malformed: bool = False
