"""Crash safety at length: 500 kills at random instants, with every service flaky."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.alerts.killing.campaign import Campaign

KILLS = 500


@pytest.mark.bench
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
# A client that is killed in a TLS handshake leaves the stand-in's socket to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_500_kills_lose_no_alert_and_repeat_only_what_was_not_recorded(
    tmp_path: Path, record: Callable[..., None]
) -> None:
    campaign = Campaign(tmp_path, seed=500)
    try:
        report = campaign.run(KILLS)
    finally:
        campaign.close()
    subject = f"{KILLS} kills of the alert loop at random times, SMTP, webhook and Telegram flaky"
    record(subject, "transitions", f"{report.events} in {report.seconds:.0f} s, to three routes", "")
    record(subject, "attempts that a service refused, reset or let time out", str(report.attempts_refused), "")
    record(subject, "lost, out of order, or sent again after the record", str(len(report.wrong)), "0")
    record(subject, "sent again, because killed before the record", f"{report.repeated} of {report.arrivals}", "")
    assert not report.wrong, "\n".join(report.wrong)
    assert report.events >= KILLS // 10
