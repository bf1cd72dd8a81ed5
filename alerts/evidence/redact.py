"""Masks secrets and control characters in text that others wrote, before it goes into a message, a page or the log.

A secret is known by its form (`ghp_…`, a JWT, a private key), by its name (see `named_secrets`), by its place (a
header, a URL, an argument), or as digits behind words (64 of them after "private key"). Hashes, peer ids and commits
look like secrets and are none, so digits alone decide nothing. The forms are those that the services publish and that
scanners such as gitleaks and detect-secrets know too. Every pattern takes linear time: repetitions are bounded or
possessive, and none begins with an unbounded one.
"""

import re
import unicodedata
from collections.abc import Iterable

from alerts.evidence.named_secrets import MASK, mask_named

MAX_LINE = 160
# Masks are shorter than secrets: so much of a line is read for each character that is shown.
_READ_RATIO = 16

_FORMS = re.compile(
    r"""
    -----BEGIN[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----.*?(?:-----END[ ][A-Z0-9 ]{0,40}-----|$)
    | \beyJ[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]++){0,4}
    | (?<!\d)\d{6,12}:[A-Za-z0-9_-]{20,}+                                  # Telegram bots
    | \b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}+   # Discord bots
    | \b(?:hf|api_org)_[A-Za-z0-9]{16,}+
    | \b(?:gh[pousr]|github_pat)_[A-Za-z0-9_]{16,}+
    | \bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-[A-Za-z0-9_.-]{16,}+
    | \bsk-(?=[A-Za-z_-]{0,80}\d)[A-Za-z0-9_-]{16,}+
    | \b(?:sk|rk|pk|whsec)_(?:live_|test_)?(?=[A-Za-z_]{0,80}\d)[A-Za-z0-9]{16,}+
    | \b(?:gsk|xai|fw|r8|co|tgp_v1|pplx|nvapi|rpa|npm|dop_v1|doo_v1|shp(?:at|ss|ca|pa)|lin_api|ntn|secret)[_-]
      (?=[A-Za-z_-]{0,80}\d)[A-Za-z0-9_-]{20,}+
    | \bwandb_v1_[A-Za-z0-9_-]{16,}+
    | \bpypi-AgEI[A-Za-z0-9_-]{20,}+
    | \bAIza[A-Za-z0-9_-]{30,}+ | \bya29\.[A-Za-z0-9_.-]{10,}+ | \bGOCSPX-[A-Za-z0-9_-]{20,}+
    | \bxox[a-z]-[A-Za-z0-9-]{8,}+ | \bxapp-[A-Za-z0-9-]{10,}+
    | \b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{12,}+
    | \bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}+
    | \b(?:glsa|dckr_pat)_[A-Za-z0-9_-]{16,}+ | \bhv[sbr]\.[A-Za-z0-9_-]{16,}+ | \bsq0c?[a-z]{2,3}-[A-Za-z0-9_-]{16,}+
    | \bAGE-SECRET-KEY-1[A-Z0-9]{20,}+
    | \bkey-(?=[a-z]{0,31}\d)[a-z0-9]{32}\b                                # Mailgun
    | \bEAA[A-Z](?=[A-Za-z]{0,80}\d)[A-Za-z0-9]{16,}+                      # Facebook
    """,
    re.VERBOSE,
)

# Of programs that take a password so; elsewhere -p is a port or a path. MySQL asks for it behind a bare -p.
_SHORT_ARGUMENT = re.compile(
    r"(\bsshpass\s[^\n]{0,80}?(?<=\s)-p|\b(?:mysql|mariadb)\w{0,10}\s[^\n]{0,80}?(?<=\s)-p(?=\S)"
    r"|\bredis-cli\s[^\n]{0,80}?(?<=\s)-a|\blogin\s[^\n]{0,80}?(?<=\s)-p(?!\s?\d{1,5}\b))(\s?)[^\s-]\S*"
)
_LOGIN_ARGUMENT = re.compile(r"((?<!\S)(?:-u|--user|--proxy-user)[\s=]{1,4}[^\s:]{1,80}:)\S+")
_HEADER = re.compile(
    r"""((?:\b(?:proxy-)?authorization|\b(?:set-)?cookie|\bx-[a-z0-9-]{0,20}(?:key|token|auth)[a-z-]{0,10})
    \\{0,4}["']?\s{0,4}[:=]\s{0,4})(?:(?P<quote>\\{0,4}["'])(?:(?!(?P=quote)).)*+|(?![\s"'\\]).++)""",
    re.IGNORECASE | re.VERBOSE,
)
_SCHEME = re.compile(
    r"(\b(?:bearer|basic|digest|AUTH (?:PLAIN|LOGIN|XOAUTH2))[\s:=]{1,4})"
    r"(?=[A-Za-z._~+/-]{0,80}[0-9=])[A-Za-z0-9._~+/=-]{8,}+",
    re.IGNORECASE,
)
# Digits that only words before them make a secret: a wandb key, a wallet's key.
_CONTEXT = re.compile(
    r"""(?P<words>(?:api[ _-]?key|wandb[: ]{1,2}login|secret|private|mnemonic|seed|passw|credential|signer|wallet)
    [^\n]{0,120}?(?<![A-Za-z0-9]))(?P<digits>(?:0x)?[0-9a-f]{32,128}+)(?![A-Za-z0-9])""",
    re.IGNORECASE | re.VERBOSE,
)
_HASH = re.compile(
    r"(?:sha-?\d*|md5|hash|digest|checksum|commit|revision|peer|etag|blake\w*|tx|run|id)\W{0,4}$", re.IGNORECASE
)
_PHRASE = re.compile(
    r"""(\b(?:mnemonic|(?:seed|recovery)[ _-]phrase)\W{1,6}(?:is\W{1,4})?)(?:[a-z]{3,8}\W{1,3}){11,23}[a-z]{3,8}""",
    re.IGNORECASE,
)
_HOOK_PATHS = re.compile(
    r"""(/services/T[A-Z0-9]{4,}/B[A-Z0-9]{4,}/ | /(?:workflows|triggers)/T[A-Z0-9]{4,}/
    | /api/(?:v\d+/)?webhooks/\d{6,}/ | /webhookb?2?/(?=[0-9a-f]{8}-) | /open-apis/bot/(?:v2/)?hook/
    | /hooks?/catch/ | /with/key/ | /hooks/(?=[\w/-]{20}) | hc-ping\.com/(?=[0-9a-f-]{20})
    | api\.day\.app/(?=\w{16}) | ftqq\.com/ | push\.spug\.dev/send/ | /bot(?=\d{6,}:) | //ntfy\.[\w.:-]{1,80}/
    )[^\s"'<>?]++""",
    re.IGNORECASE | re.VERBOSE,
)
_QUERY_SECRET = re.compile(
    r"([?&](?:key|sig|sign|auth|code|apikey|appkey|pushkey|token|password|pass|pwd|st|jwt|access_token)=)[^&\s\"']++",
    re.IGNORECASE,
)

# Addresses of these keep host and path; those of other services, such as apprise's, may hold a secret anywhere.
_KEPT_SCHEMES = frozenset(
    (
        *("http", "https", "file", "ws", "wss", "ftp", "sftp", "ssh", "git", "s3", "gs", "hf", "docker", "oci"),
        *("tcp", "udp", "tls", "unix", "grpc", "ipc", "dns", "ray", "nats", "amqp", "amqps", "redis", "rediss"),
        *("postgres", "postgresql", "mysql", "mariadb", "mongodb", "mongodb+srv", "clickhouse"),
    )
)
_URL = re.compile(r"\b([a-z][a-z0-9+.-]{0,20})://(\S++)", re.IGNORECASE)
_USERINFO = re.compile(r"[^\s/@:]{0,80}:(?!\d{1,5}(?:/|$))[^\s]{1,400}@|[^/?#\s]*@")
_QUERY = re.compile(r"\?\S*")
_BARE_LOGIN = re.compile(
    r"(?<![\w@:/.+-])([\w.+-]{1,64}:)(?!\d+@)[^\s:@/\"'<>=,]{3,80}(?=@(?!sha)[A-Za-z0-9][\w.-]{0,80})"
)

# ECMA-48: control sequences, texts for the terminal such as titles and links, other functions.
_TERMINAL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"
    r"|\x1b[PX^_\]][^\x07\x1b\x9c]{0,400}(?:\x07|\x1b\\|\x9c)|\x1b[ -/]{0,4}[0-~]"
)
_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY")
_KEY_BODY = re.compile(r"[\W_]*(?=\S*[a-z])(?=\S*[A-Z])(?=\S*[0-9+/])[A-Za-z0-9+][A-Za-z0-9+/]{59,}={0,2}\W*")


def redact(text: str, limit: int = MAX_LINE) -> str:
    """One printable line of at most `limit` characters, without the secrets that are known."""
    text = mask(make_printable(text[: _READ_RATIO * limit])).rstrip()
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def redact_lines(lines: Iterable[str], limit: int = MAX_LINE) -> list[str]:
    """Each line redacted; a private key that goes over several lines is masked from its beginning to its end."""
    shown: list[str] = []
    is_key = False
    for line in lines:
        end = _KEY_END.search(line)
        if is_key and not end:
            shown.append(MASK)
            continue
        begin = _KEY_BEGIN.search(line)
        if end and (is_key or not begin or end.start() < begin.start()):
            line = f"{MASK}{line[end.end() :].lstrip('-')}"
        *_, last = [None, *_KEY_BEGIN.finditer(line)]
        is_key = last is not None and not _KEY_END.search(line, last.end())
        shown.append(MASK if _KEY_BODY.fullmatch(line.strip()[:400]) else redact(line, limit))
    return shown


def make_printable(text: str) -> str:
    """On one line, without colours and other orders to a terminal, and without characters that have no width.

    Each may stand between a secret and its name. A blank for any other character that cannot be shown, as a line end.
    """
    return "".join(
        letter if letter.isprintable() else "" if unicodedata.category(letter) == "Cf" else " "
        for letter in _TERMINAL.sub("", text)
    )


def mask(text: str) -> str:
    """The text with a mask for each secret; in linear time."""
    text = _HEADER.sub(lambda found: f"{found[1]}{found['quote'] or ''}{MASK}", text)
    text = _URL.sub(_mask_url, text)
    text = _HOOK_PATHS.sub(rf"\1{MASK}", text)
    text = _FORMS.sub(MASK, text)
    text = _QUERY_SECRET.sub(rf"\1{MASK}", text)
    text = _SHORT_ARGUMENT.sub(rf"\1{MASK}", text)
    text = _LOGIN_ARGUMENT.sub(rf"\1{MASK}", text)
    text = _SCHEME.sub(rf"\1{MASK}", text)
    text = _BARE_LOGIN.sub(rf"\1{MASK}", text)
    text = _PHRASE.sub(rf"\1{MASK}", text)
    text = _CONTEXT.sub(_mask_digits, text)
    return mask_named(text)


def _mask_digits(match: re.Match[str]) -> str:
    return match[0] if _HASH.search(match["words"][-24:]) else f"{match['words']}{MASK}"


def _mask_url(match: re.Match[str]) -> str:
    scheme, rest = match[1], match[2]
    if scheme.lower() not in _KEPT_SCHEMES:
        return f"{scheme}://{MASK}"
    userinfo = _USERINFO.match(rest)
    rest = f"{MASK}@{rest[userinfo.end() :]}" if userinfo and userinfo[0] else rest
    return f"{scheme}://{_QUERY.sub(f'?{MASK}', rest)}"
