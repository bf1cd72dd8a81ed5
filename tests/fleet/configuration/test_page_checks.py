"""What `peerwatch check` says of the status page's login and certificate."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.configuration.load import Loaded
from fleet.configuration.page_checks import find_page_problems
from tests.certificates import write_certificate

TEXT = "fleet: a\nalerts:\n  login: {password: 'file:page.secret'}\n  tls: {certificate: page.pem, key: page.key}\n"


@pytest.fixture
def problems(load: Callable[[str], Loaded], tmp_path: Path) -> Callable[[], list[str]]:
    def find() -> list[str]:
        return [problem.message for problem in find_page_problems(load(TEXT))]

    (tmp_path / "page.secret").write_text("open sesame\n")
    (tmp_path / "page.secret").chmod(0o600)
    write_certificate(tmp_path)
    return find


def test_files_that_fit_are_no_problem(problems: Callable[[], list[str]]) -> None:
    assert problems() == []


def test_a_password_that_is_not_there_is_told(problems: Callable[[], list[str]], tmp_path: Path) -> None:
    (tmp_path / "page.secret").unlink()
    assert [text for text in problems() if "page.secret: No such file" in text]


def test_a_key_of_another_certificate_is_told(problems: Callable[[], list[str]], tmp_path: Path) -> None:
    write_certificate(tmp_path / "other")[1].replace(tmp_path / "page.key")
    assert [text for text in problems() if "the key is not the certificate's" in text]


def test_secrets_that_others_can_read_are_told(problems: Callable[[], list[str]], tmp_path: Path) -> None:
    for name in ("page.secret", "page.key"):
        (tmp_path / name).chmod(0o644)
    told = problems()
    assert len(told) == 2
    assert all("run `chmod 600` on it" in text for text in told)
    assert not any("sesame" in text for text in told)
