"""Who may change something."""

import base64

import pytest

from alerts.web.same_origin import PageTokens, refuse

PAGES = PageTokens()
HERE = {"host": "127.0.0.1:8750"}
OWN_PAGE = {**HERE, "origin": "http://127.0.0.1:8750", "sec-fetch-site": "same-origin"}


def _with_token(headers: dict[str, str], token: str | None = None) -> dict[str, str]:
    return {**headers, "x-csrf-token": PAGES.make() if token is None else token}


def test_a_page_of_ours_may() -> None:
    assert refuse(_with_token(OWN_PAGE), "secret", PAGES) == ""
    assert refuse(_with_token({**HERE, "origin": OWN_PAGE["origin"]}), "secret", PAGES) == ""


def test_the_command_line_may_with_the_token_of_the_file() -> None:
    assert refuse({**HERE, "authorization": "Bearer secret"}, "secret", PAGES) == ""
    assert "is missing or wrong" in refuse({**HERE, "authorization": "Bearer other"}, "secret", PAGES)
    assert "is missing or wrong" in refuse({**HERE, "authorization": "Basic secret"}, "secret", PAGES)
    assert "is missing or wrong" in refuse(HERE, "secret", PAGES)


@pytest.mark.parametrize(
    "foreign",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_a_page_of_another_site_may_not_even_with_a_token(foreign: dict[str, str]) -> None:
    assert refuse(_with_token({**HERE, **foreign}), "secret", PAGES) == "a request from another site"
    bearer = {**HERE, **foreign, "authorization": "Bearer secret"}
    assert refuse(bearer, "secret", PAGES) == "a request from another site"


def test_a_request_that_does_not_say_where_it_comes_from_may_not() -> None:
    assert "from which page" in refuse(_with_token(HERE), "secret", PAGES)


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 88, base64.urlsafe_b64encode(bytes(64)).decode()])
def test_a_wrong_token_is_refused(token: str) -> None:
    assert "load it anew" in refuse(_with_token(OWN_PAGE, token), "secret", PAGES)
    assert "load it anew" in refuse(_with_token(OWN_PAGE, PageTokens().make()), "secret", PAGES)


def test_no_two_pages_carry_the_same_text() -> None:
    assert len({PAGES.make() for _ in range(20)}) == 20
