"""When a failed delivery is tried again."""

import pytest

from alerts.delivery.outcome import DeliveryResult
from alerts.delivery.retry_policy import Retry, RetryPolicy

POLICY = RetryPolicy()
REFUSED = DeliveryResult(False, "refused")
DAY = 86400.0


def _plan(result: DeliveryResult, *, route: int = 1, delivery: int = 1, is_hung: bool = False) -> Retry:
    return POLICY.plan_retry(result, route_failures=route, delivery_failures=delivery, is_hung=is_hung, jitter=0.0)


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_the_back_off_doubles_up_to_five_minutes(jitter: float) -> None:
    pauses = [POLICY.pause_after(failures, REFUSED, jitter) for failures in range(1, 40)]
    assert 2 <= pauses[0] <= 3
    assert pauses[1] == 2 * pauses[0]
    assert pauses == sorted(pauses)
    assert 300 <= pauses[-1] <= 375


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_a_pause_that_the_service_asked_for_is_not_cut_short(jitter: float) -> None:
    assert 35 < POLICY.pause_after(1, DeliveryResult(False, "", 35.0, True), jitter) < 40
    assert POLICY.pause_after(1, DeliveryResult(False, "", None, True), jitter) >= 60
    assert POLICY.pause_after(1, DeliveryResult(False, "", 1e9, True), jitter) < DAY + 4


def test_a_delivery_waits_for_its_own_failures_and_for_those_of_its_route() -> None:
    assert _plan(REFUSED) == (2, 2, False)
    assert _plan(REFUSED, route=4) == (16, 16, False)
    assert _plan(REFUSED, delivery=4) == (2, 16, False)


def test_a_rate_limit_holds_the_whole_route() -> None:
    assert _plan(DeliveryResult(False, "429", 35.0, True)) == (36, 36, True)


def test_a_refusal_that_a_person_must_end_is_repeated_seldom_but_for_as_long() -> None:
    refused = DeliveryResult(False, "bad token", is_permanent=True)
    pauses = [POLICY.pause_after(failures, refused, 0.0) for failures in range(1, 12)]
    assert pauses[:3] == [30, 60, 120]
    assert pauses[-1] == 1800


def test_a_hung_send_is_not_repeated_at_once_and_few_may_hang() -> None:
    assert _plan(REFUSED, is_hung=True) == (2, 300, False)
    assert [POLICY.may_send(hung) for hung in range(5)] == [True, True, True, False, False]


def test_a_wait_that_a_clock_put_back_made_too_long_is_ignored() -> None:
    assert POLICY.seconds_until(1010, 1000) == 10
    assert POLICY.seconds_until(990, 1000) == 0
    assert POLICY.seconds_until(1000 + 3 * DAY, 1000) == 0


def test_a_delivery_is_given_up_after_seven_days() -> None:
    assert POLICY.expires_before(10 * DAY) == 3 * DAY
