"""Secrets do not leave the machine in a message; ordinary lines stay as they are."""

import time

import pytest

from alerts.evidence.named_secrets import MASK
from alerts.evidence.redact import MAX_LINE, make_printable, mask, redact, redact_lines
from tests.alerts.evidence.secret_grammar import (
    HARMLESS,
    HARMLESS_IN_CODE,
    KNOWN_LEAKS,
    SECRETS,
    SECRETS_IN_CODE,
    SECRETS_LATER,
)
from tests.alerts.evidence.secret_shapes import BUILT_WITH, HELD_OUT, HELD_OUT_LATER, ORDINARY

BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
HOSTILE = (
    *("a", "a-", "a:", "-", "'", "token", "token=", 'token="', "auth=", "sk-", "eyJ", "0x", "a b ", "http://", "@"),
    *(
        "login ",
        "login a:",
        "credentials a/",
        "api key a ",
        "secret '",
        "password: /a ",
        "pwd=/pwd",
        "secret=[",
        "token(a(",
        "| token |",
    ),
    *(
        "<password>",
        "token: a ",
        "A1b2",
        "ABCD-",
        "EAAC",
        "key-",
        "//ntfy.a/",
        "«",
        '"token", ',
        "token]])'",
        "token -> a(",
    ),
    *("\x1b[", "\x1b]", "\x1b]0;a", "\x9b", "\u200b"),
    *("mysql ", "redis-cli -", "pass", "密码"),
    *("-----BEGIN PRIVATE KEY-----", "password is ", "password for ", "wandb ", "seed phrase abc ", "cookie:", "a=b;"),
    *("https://a:b@", "api_key 0123456789abcdef", "--token ", "/hooks/", "Authorization: ", "\\\\", "<", "\u202e"),
)


@pytest.mark.parametrize(("line", "secret"), [*BUILT_WITH, *SECRETS, *SECRETS_LATER, *SECRETS_IN_CODE])
def test_a_secret_is_masked(line: str, secret: str) -> None:
    shown = redact(line, 500)
    assert secret not in shown
    assert MASK in shown


def test_shapes_that_no_rule_was_made_for_are_masked_too() -> None:
    leaks = [line for line, secret in (*HELD_OUT, *HELD_OUT_LATER) if secret in redact(line, 500)]
    assert len(HELD_OUT) + len(HELD_OUT_LATER) >= 44
    assert leaks == []


def test_what_is_known_to_get_through_is_true() -> None:
    assert [secret for line, secret in KNOWN_LEAKS if secret not in redact(line, 500)] == []


@pytest.mark.parametrize("line", [*ORDINARY, *HARMLESS, *HARMLESS_IN_CODE])
def test_what_is_no_secret_stays(line: str) -> None:
    assert redact(line) == line


def test_a_private_key_is_masked_over_all_its_lines() -> None:
    key = ["-----BEGIN OPENSSH PRIVATE KEY-----", BODY, "INFO " + BODY, "c2hvcnQ=", "-----END OPENSSH PRIVATE KEY-----"]
    assert redact_lines(["loss: 1.0", *key, "loss: 0.9"]) == ["loss: 1.0", *[MASK] * 5, "loss: 0.9"]
    # The tail of a log may begin within the key, or end there.
    assert redact_lines([BODY, key[-1], "loss: 0.9"]) == [MASK, MASK, "loss: 0.9"]
    assert redact_lines(["a", key[0], BODY, "c2hvcnQ"]) == ["a", MASK, MASK, MASK]


def test_a_line_is_bounded_and_printable() -> None:
    assert len(redact("x" * 10**6)) == MAX_LINE
    assert len(redact("x" * 10**6, 40)) == 40
    assert redact("a\x1b[31mb\x00") == "ab"
    assert redact("a\r\nb\u2028c\u202ed") == "a  b cd"
    assert redact("a\x1b]0;title\x07b \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x9b1;31mc") == "ab link c"


@pytest.mark.parametrize(
    "line",
    [
        # As structlog, rich and loguru color names and values.
        "\x1b[36mpassword\x1b[0m=\x1b[35mswordfish\x1b[0m",
        "\x1b[36mapi_key\x1b[0m: \x1b[38;2;255;0;0mswordfish\x1b[0m",
        "\x1b[1mhf_\x1b[0mabcdefghijswordfish",
        "HF_TO\u200bKEN=sword\u200bfish",
        "pass\u202eword: swordfish",
    ],
)
def test_colours_and_what_has_no_width_do_not_part_a_secret_from_its_name(line: str) -> None:
    shown = redact(line)
    assert MASK in shown
    assert "fish" not in shown


@pytest.mark.parametrize("length", [20_000, pytest.param(100_000, marks=pytest.mark.bench)])
def test_masking_takes_linear_time_whatever_the_line(length: int) -> None:
    for piece in HOSTILE:
        seconds = []
        for size in (length // 10, length):
            began = time.process_time()
            mask(make_printable(piece * (size // len(piece))))
            seconds.append(time.process_time() - began)
        # Quadratic time would be a hundred times as long.
        assert seconds[1] < 40 * seconds[0] + 0.2, piece
