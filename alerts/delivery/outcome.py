"""The result of an attempt to deliver a message."""

from typing import NamedTuple


class DeliveryResult(NamedTuple):
    """Whether the service accepted the message; if not, a reason without secrets and its Retry-After in seconds.

    `is_malformed`: it may accept the same message as plain text. `is_permanent`: it will refuse every message until a
    person changes something, such as a token or a chat's number.
    """

    accepted: bool
    reason: str = ""
    retry_after_seconds: float | None = None
    is_rate_limited: bool = False
    is_malformed: bool = False
    is_permanent: bool = False
