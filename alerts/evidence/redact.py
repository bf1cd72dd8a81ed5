"""Masks secrets and control characters in text that others wrote, before it goes into a message."""

import re

MASK = "***"
MAX_LINE = 160

_SECRETS = (
    # Tokens with a known form: Hugging Face, GitHub, OpenAI and similar, Slack, AWS, Telegram bots, JWT.
    re.compile(r"\b(?:hf|ghp|gho|ghs|github_pat|sk|pk|rk|xox[abprs]|glpat)[-_][A-Za-z0-9_-]{8,}"),
    re.compile(r"\bAKIA[0-9A-Z]{12,}"),
    re.compile(r"(?<!\d)\d{6,}:[A-Za-z0-9_-]{20,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*"),
    re.compile(r"(?<=Bearer )\S+|(?<=Basic )\S+", re.IGNORECASE),
)
# token=…, "api_key": "…", HF_TOKEN: …, and --password … of a command line. A plain number is a count, no secret.
_NAME = r"[\w.-]*(?:token|passw(?:or)?d|passphrase|secret|api[-_]?key|access[-_]?key|private[-_]?key|credential)\w*"
_VALUE = r"""("[^"]*"|'[^']*'|(?!\d+(?:\.\d+)?\b)[^\s,;&"']+)"""
_NAMED = (
    re.compile(rf"""({_NAME}["']?\s*[=:]\s*){_VALUE}""", re.IGNORECASE),
    re.compile(rf"(--{_NAME}\s+){_VALUE}", re.IGNORECASE),
)
_WEB = ("http", "https", "file", "ws", "wss")
_URL = re.compile(r"\b([a-z][a-z0-9+.-]*)://(\S+)", re.IGNORECASE)
_CREDENTIALS = re.compile(r"^[^/@\s]+@")
_QUERY = re.compile(r"\?\S*")


def redact(text: str) -> str:
    """One line without the secrets that are known by their form or their name; bounded, printable."""
    text = "".join(letter if letter.isprintable() else " " for letter in text[: 16 * MAX_LINE])
    text = _URL.sub(_redact_url, text)
    for pattern in _SECRETS:
        text = pattern.sub(MASK, text)
    for pattern in _NAMED:
        text = pattern.sub(rf"\1{MASK}", text)
    text = text.rstrip()
    return text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 1]}…"


def _redact_url(match: re.Match[str]) -> str:
    """Web addresses keep host and path; those of other services, such as apprise's, may hold a secret anywhere."""
    scheme, rest = match[1], match[2]
    if scheme.lower() not in _WEB:
        return f"{scheme}://{MASK}"
    return f"{scheme}://{_QUERY.sub(f'?{MASK}', _CREDENTIALS.sub(f'{MASK}@', rest))}"
