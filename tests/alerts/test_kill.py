"""The alert loop is killed again and again: every alert reaches every URL, in order, and none twice without need.

`make bench` kills it hundreds of times.
"""

from pathlib import Path

import pytest

from tests.alerts.killing.campaign import Campaign

KILLS = 18


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
# A client that is killed in a TLS handshake leaves the stand-in's socket to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_kills_at_any_moment_lose_nothing_and_repeat_only_what_was_not_recorded(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    try:
        report = campaign.run(KILLS)
    finally:
        campaign.close()
    assert not report.wrong, "\n".join(report.wrong)
    assert report.kills == KILLS
    assert report.events >= KILLS // 6
    assert report.attempts_refused >= 3
