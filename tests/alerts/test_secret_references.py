"""References to secrets."""

from pathlib import Path

import pytest

from alerts.secret_references import UnresolvedReferenceError, resolve


def test_a_variable_is_inserted_in_place() -> None:
    assert resolve("tgram://${TOKEN}/${CHAT}", {"TOKEN": "1:a", "CHAT": "7"}) == "tgram://1:a/7"


def test_a_file_holds_the_whole_url(tmp_path: Path) -> None:
    path = tmp_path / "a secret"
    path.write_text("json://host/${NOT_A_REFERENCE}\n")
    assert resolve(f"file:{path}", {}) == "json://host/${NOT_A_REFERENCE}"


@pytest.mark.parametrize("environment", [{}, {"TOKEN": ""}])
def test_an_unset_variable_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(UnresolvedReferenceError, match="variable TOKEN is not set"):
        resolve("tgram://${TOKEN}/5", environment)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnresolvedReferenceError, match=r"file:.*missing: No such file"):
        resolve(f"file:{tmp_path}/missing", {})
    (tmp_path / "empty").touch()
    with pytest.raises(UnresolvedReferenceError, match="is empty"):
        resolve(f"file:{tmp_path}/empty", {})
