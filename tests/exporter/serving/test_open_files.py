"""The limit of open files, from what systems report."""

from resource import RLIM_INFINITY

import pytest

from exporter.serving.open_files import OTHER_FILES, allow_connections, choose_limit


@pytest.mark.parametrize(
    ("soft", "hard", "limit"),
    [
        (256, RLIM_INFINITY, 1152),  # macOS, launchd
        (1024, 524288, 1152),  # Debian, systemd
        (1024, 1024, 1024),
        (1048576, 1048576, 1048576),  # Docker
        (RLIM_INFINITY, RLIM_INFINITY, RLIM_INFINITY),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may(soft, hard, limit):
    assert choose_limit(soft, hard, 1152) == limit


def test_a_server_keeps_files_for_what_is_no_connection():
    assert allow_connections(1) == 16
    assert 16 <= allow_connections(1 << 40) <= (1 << 40) - OTHER_FILES
