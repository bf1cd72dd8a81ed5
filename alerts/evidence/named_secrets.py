"""Masks secrets behind a name: one list of names, one grammar of what may stand between, one judge of values.

How much a value must look like a secret depends on what binds it to the name. Behind `=` it is one unless it is known
to be none; behind `:`, an arrow, a cell's edge, `is` or an option's blank it may be a word if the name is that of
nothing else; behind blanks alone it must be quoted or look random, as most words there are prose. Takes linear time:
what lies between is bounded, so is what is looked at of a value, and one that stays is read again for names within it.
"""

import re

MASK = "***"
# So much of a value is judged.
_LOOKED_AT = 200

_PASSWORD = (
    r"(?:passw(?:or)?d|passwort|kennwort|mot\sde\spasse|contraseña|(?<![A-Za-z])senha|пароль|密码|密碼|口令|パスワード"
    r"|passphrase|passcode|(?<![A-Za-z])pwd|(?<=_)pass)(?:s\b)?"
)
# A bare `pass` or `pw`: results of tests and of questions begin with a digit.
_PASS = r"""(?<![\w@-])p(?:ass|w)(?=\\{0,4}["']?\s{0,4}[:=]\s{0,4}\\{0,4}["']?[^\s\d"'])"""
_KEY_KINDS = (
    "access|private|secret|signing|encryption|account|license|auth|client|webhook|ssh|deploy|service|subscription"
)
_TOKEN_KINDS = "auth|access|api|bot|hub|hf|refresh|bearer"
# Of nothing but secrets.
_STRONG = (
    rf"(?:api[_\s-]?key|(?:{_KEY_KINDS})[_\s-]?key|(?:{_TOKEN_KINDS})[_\s-]?token(?!s|iz)|secret(?!s\b)"
    rf"|ntfy[_\s-]topic|密钥|{_PASS})"
)
# Names that hold "token" and are about words: pad_token, tokenizer, token_ids.
_WORDS_BEFORE = ("pad", "eos", "bos", "unk", "sep", "cls", "mask", "image", "per")
_NO_TOKEN_BEFORE = "".join(f"(?<!{word}_)" for word in _WORDS_BEFORE)
_NO_TOKEN_AFTER = r"(?!iz|s\b|s[_/]|_(?:ids?|type|count|class|len|num|per|embed|mask|pos|prob|logp|acc|loss))"
_WEAK = (
    rf"(?:{_NO_TOKEN_BEFORE}token{_NO_TOKEN_AFTER}|credentials?|(?<![A-Za-z0-9])auth(?![A-Za-z]|_(?:mode|type|method))"
    r"|(?<![A-Za-z0-9])sess(?:ion)?_?id|jwt|pin[_\s-]?code|令牌|(?P<login>\blogin\b))"
)
# The quotes and brackets that a name may be in end before the sign.
_CLOSED = r"""\\{0,4}["'\])]{0,4}"""
_NAMED = re.compile(
    rf"""(?P<name>(?P<strong>(?P<password>{_PASSWORD})|{_STRONG})|{_WEAK})(?P<rest>[A-Za-z0-9_-]{{0,40}}+)
    (?:(?P<sign>{_CLOSED}(?:\[\])?\s{{0,16}}(?:=>|:=|->|=(?!=)@?|:|：|→|[|│]|>)\s{{0,16}}(?P<call>[A-Za-z_][\w.]{{0,40}}\((?=["']))?)
    |(?P<pair>["']\]?\)?\s?,\s{{1,4}}(?=["'])|["'],\s{{1,4}})
    |(?P<said>["']?\s{{1,4}}(?:is|was|(?:set|changed|reset)\sto)[\s:]{{1,4}}|["']?\s{{1,4}}(?:for|of)\s[^:=]{{1,80}}[:=]\s{{0,4}}
      |\s{{0,2}}[是为為]\s{{0,2}})
    |(?P<blank>["']?\s{{1,16}})(?P<words>(?:-{{0,2}}[A-Za-z][A-Za-z-]{{0,13}}:?\s{{1,16}}){{0,3}}))""",
    re.IGNORECASE | re.VERBOSE,
)
# A value in quotes, which may be escaped, in brackets, or up to the next blank.
_QUOTED = r"""(?P<quote>\\{0,4}["'])(?P<content>(?:(?!(?P=quote)).)*+)(?:(?P=quote))?|«(?P<guillemets>[^»]*+)»?"""
_VALUE = re.compile(rf"""{_QUOTED}|\([^)]*+\)?|[^\s"'&]++""")
_OPTION = re.compile(r"(?<![\w-])--?[\w-]{0,40}$")
_TAG = re.compile(r"<[\w:.-]{0,40}$")
_USER = re.compile(
    r"""(?P<head>\b(?:log-?in|credentials?|creds|sign-?in)["']?[\s:=]{1,4}(?:(?:as|with|for)\s)?(?P<user>[\w.+-]{1,64}(?:@[\w.-]{1,64})?)
    (?P<sign>[:/]))(?P<value>[^\s/:"'<>]{1,200}+)(?![/:])""",
    re.IGNORECASE | re.VERBOSE,
)
_NETRC = re.compile(r"(\blogin\s{1,4}\S{1,80}\s{1,4}password\s{1,4})\S++", re.IGNORECASE)

_BENIGN = re.compile(
    r"""(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?[%\])},;.]*|0[xob][0-9a-f]{1,8}|none|null|nil|true|false|yes|no|ok|unset|undefined|required
    |missing|invalid|empty|expired|incorrect|wrong|not|too|set|changed|reset|prompt|accepted|denied|failed|default
    |redacted|hidden|the|a|an|for|of|in|to|from|and|or|with|by|on|off|out|is|was|str|string|bytes|optional|used|read
    |loaded|found|stored|file|env|environment|rotated|valid|present|provided|configured|ignored|enabled|disabled
    |\*+|<[^>]{0,40}>.*|\[[^\]]{0,40}\].*|\$\{?\w+\}?|[.…]+|x{3,})[,;:.)\]}]*""",
    re.IGNORECASE | re.VERBOSE,
)
_WORD = re.compile(r"[A-Za-z]{1,14}[,;:.)\]}]*")
_NAME = re.compile(r"[A-Za-z_-]*")
_PROSE = re.compile(r"\s+[a-z]")
_LAYER = re.compile(r"[a-z_]+(?:\.[a-z0-9_]+)+|/\S*|~\S*|(?:file|env):\S*")
# A call, or what is looked up, as tracebacks quote it.
_CODE = re.compile(r"[A-Za-z_][\w.]{0,80}[(\[]\S*")
_HASH = re.compile(
    r"(?:sha-?\d*|md5|hash|digest|checksum|commit|revision|peer|etag|blake\w*|tx|run|id)\W{0,4}$", re.IGNORECASE
)
# Where letters become digits or capitals, or digits letters: words with a number at their end have one or two.
_TURN = re.compile(r"(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[0-9]|(?<=[0-9])[A-Za-z]")
_CHUNK = re.compile(r"[A-Za-z0-9]{8,}")
_GROUPS = re.compile(r"(?:[A-Z0-9]{4,6}-){2,}[A-Z0-9]{4,6}")
_MIXED = re.compile(r"(?=[^\d]{0,40}\d)(?=[^A-Za-z]{0,40}[A-Za-z])\S{6,}")


def mask_named(text: str) -> str:
    """The text with a mask for each value that a name makes a secret."""
    text = _NETRC.sub(rf"\1{MASK}", _USER.sub(_mask_password, text))
    shown: list[str] = []
    done = place = 0
    while found := _NAMED.search(text, place):
        begin = found.end()
        place = found.end("rest")
        value = _VALUE.match(text, begin, begin + _LOOKED_AT)
        if value is not None and _is_secret(found, value):
            quote = value["quote"] or ""
            shown += [text[done:begin], quote, MASK, quote]
            whole = _VALUE.match(text, begin)
            done = place = whole.end() if whole else value.end()
    return "".join([*shown, text[done:]])


def looks_random(text: str) -> bool:
    """Whether it turns often between letters, capitals and digits, as no word, number, path or version does."""
    if _LAYER.fullmatch(text) or "://" in text:
        return False
    has_digit = any(map(str.isdigit, text))
    return has_digit and (
        _GROUPS.search(text) is not None or any(len(_TURN.findall(chunk)) >= 3 for chunk in _CHUNK.findall(text))
    )


def _is_secret(found: re.Match[str], value: re.Match[str]) -> bool:
    bare = value[0].strip("\\\"'«»")
    is_password, is_quoted = found["password"] is not None, value[0] != bare
    if not any(map(str.isalnum, bare)) or (_BENIGN.fullmatch(bare) and not (is_password and bare.isdigit())):
        return False
    if found["call"]:
        return looks_random(bare) or (is_password and _MIXED.fullmatch(bare) is not None)
    before = found.string[max(0, found.start() - 44) : found.start()]
    is_option = not found["words"] and _OPTION.search(before) is not None
    if not is_option and found["pair"] and _NAME.fullmatch(bare):
        return False
    if (found["sign"] or "").strip("\\\"'])[ ") == ">" and not _TAG.search(before):
        return False
    if (found["blank"] is not None and not is_option) or found["login"]:
        if found["login"] and _HASH.search(found[0]):
            return False
        return _is_secret_behind_blanks(found, bare, is_quoted=is_quoted)
    if is_quoted:
        return True
    if _CODE.fullmatch(bare) and not looks_random(bare):
        return False
    if is_password:
        return not ("pwd" in found["password"].lower() and _LAYER.fullmatch(bare))
    if (found["sign"] or "").strip("\\\"'])") == "=":
        return True
    if found["strong"] and not found["said"]:
        is_prose = _WORD.fullmatch(bare) and _PROSE.match(found.string, value.end())
        return not (is_prose or _LAYER.fullmatch(bare))
    return not (_WORD.fullmatch(bare) or _LAYER.fullmatch(bare) or len(bare) < 6)


def _is_secret_behind_blanks(found: re.Match[str], bare: str, *, is_quoted: bool) -> bool:
    if not found["words"]:
        if is_quoted and found["strong"]:
            return True
        if found["password"] and _MIXED.fullmatch(bare) and not _LAYER.fullmatch(bare):
            return True
    return looks_random(bare) and not _HASH.search(found["words"] or "")


def _mask_password(match: re.Match[str]) -> str:
    """The match with what stands behind the user's name masked, unless that is a host, with a port or a path."""
    is_host = "." in match["user"] and "@" not in match["user"] and match["sign"] == "/"
    return match[0] if is_host or _BENIGN.fullmatch(match["value"]) else f"{match['head']}{MASK}"
