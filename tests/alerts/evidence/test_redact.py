"""Secrets do not leave the machine in a message."""

import pytest

from alerts.evidence.redact import MAX_LINE, redact


@pytest.mark.parametrize(
    "line",
    [
        "login with hf_abcdefghijklmnop failed",
        "HF_TOKEN=s3cr3tvalue9 in the environment",
        "token: s3cr3tvalue9",
        'config {"api_key": "s3cr3tvalue9", "x": 1}',
        "--hf_token s3cr3tvalue9 --x",
        "password='s3cr3tvalue9 with blanks'",
        "Authorization: Bearer s3cr3tvalue9",
        "GET https://user:s3cr3tvalue9@host/path failed",
        "GET https://host/path?sig=s3cr3tvalue9 failed",
        "notify tgram://123456:s3cr3tvalue9/42",
        "mailto://me:s3cr3tvalue9@example.org",
        "https://api.telegram.org/bot123456789:s3cr3tvalue9s3cr3tvalue9/sendMessage",
        "wandb_api_key=s3cr3tvalue9",
        "client_secret = s3cr3tvalue9",
    ],
)
def test_a_secret_is_masked(line: str) -> None:
    shown = redact(line)
    assert "s3cr3t" not in shown
    assert "hf_abc" not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "line",
    [
        "step=12 round=3 stage=0 reward=0.5000 loss=0.0012 seconds=0.062",
        "tokenizer loaded from https://huggingface.co/Qwen/Qwen2.5",
        "num_tokens 1024 of 4096 tokens per second, completions/tokens=512",
        'File "/opt/app/grpo.py", line 114, in forward',
        "ValueError: shapes (3,4) and (5,6) do not fit",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redact(line) == line


def test_a_line_is_bounded_and_printable() -> None:
    assert len(redact("x" * 10**6)) == MAX_LINE
    assert redact("a\x1b[31mb\x00") == "a [31mb"
