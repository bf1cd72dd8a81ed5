"""The retry policy: when a failed delivery is tried again, and when it is given up. Pure."""

from dataclasses import dataclass
from typing import NamedTuple

from alerts.delivery.outcome import DeliveryResult

SEND_TIMEOUT_SECONDS = 60.0


class Retry(NamedTuple):
    """Seconds until a route, and the delivery that failed, are tried again. `holds_route`: its service asked for it."""

    route_seconds: float
    delivery_seconds: float
    holds_route: bool


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off per route and per delivery, within the limits that a service names.

    A send without an answer after `send_timeout_seconds` counts as failed, but its thread cannot be ended: with
    `max_hung_sends` of them a route waits. `storage_retry_seconds` is the pause after the queue could not be read or
    written.
    """

    first_pause_seconds: float = 2.0
    max_pause_seconds: float = 300.0
    rate_limit_pause_seconds: float = 60.0
    # A refusal that lasts until a person changes something: tried seldom, as the change may be made at the service.
    refusal_pause_seconds: float = 30.0
    max_refusal_pause_seconds: float = 1800.0
    max_rate_limit_seconds: float = 86400.0
    send_timeout_seconds: float = SEND_TIMEOUT_SECONDS
    max_hung_sends: int = 3
    expire_after_seconds: float = 7 * 86400.0
    storage_retry_seconds: float = 5.0

    def pause_after(self, failures: int, result: DeliveryResult, jitter: float) -> float:
        """Seconds to wait after this many failures in a row; `jitter`, 0 to 1, spreads the attempts.

        A pause that the service asked for is never cut short, except to `max_rate_limit_seconds`.
        """
        if result.retry_after_seconds is not None:
            return min(result.retry_after_seconds, self.max_rate_limit_seconds) + 1.0 + 2.0 * jitter
        first, longest = self.first_pause_seconds, self.max_pause_seconds
        if result.is_rate_limited:
            first = self.rate_limit_pause_seconds
        elif result.is_permanent:
            first, longest = self.refusal_pause_seconds, self.max_refusal_pause_seconds
        return min(first * 2.0 ** min(failures - 1, 16), longest) * (1.0 + 0.25 * jitter)

    def plan_retry(
        self,
        result: DeliveryResult,
        *,
        route_failures: int,
        delivery_failures: int,
        is_hung: bool,
        jitter: float,
    ) -> Retry:
        """What follows a failed attempt; the failures in a row include it."""
        route = self.pause_after(route_failures, result, jitter)
        # A send that hangs may still succeed: it is not repeated at once.
        own = self.max_pause_seconds if is_hung else self.pause_after(delivery_failures, result, jitter)
        return Retry(route, max(route, own), result.is_rate_limited)

    def seconds_until(self, due_at: float, now: float) -> float:
        """How long an attempt that is due at `due_at` still waits; 0 if it can be made."""
        wait = due_at - now
        # A longer wait than any that is ever set means that the clock was put back while nothing ran.
        return wait if 0 < wait <= 2 * self.max_rate_limit_seconds else 0.0

    def may_send(self, hung_sends: int) -> bool:
        return hung_sends < self.max_hung_sends

    def expires_before(self, now: float) -> float:
        """Deliveries created before this time are given up."""
        return now - self.expire_after_seconds


DEFAULT_POLICY = RetryPolicy()
