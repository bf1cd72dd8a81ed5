"""References to secrets: `${NAME}` for an environment variable, `file:/path` for a file's content.

A variable holds the secret as it is. Where it is part of a URL, it is percent-encoded as its place there requires, so
that no character of a password ends the password. No message shows any part of a value.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import PlainSerializer, SecretStr

from exporter.files.named_file import read_named

# As in the configuration: a reference, or the secret itself. Only its file and `resolve` show it.
SecretReference = Annotated[
    SecretStr, PlainSerializer(lambda secret: secret.get_secret_value(), return_type=str, when_used="json")
]

MAX_BYTES = 65536

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE = "file:"
_SCHEME = "://"
# A path may come as one variable with several segments (Slack's T…/B…/…), and a list of recipients has commas.
_SAFE_IN_PATH = "/:@,"
# What a host's name, an address, a port, or a service's token in their place consists of.
_HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:\[\]-]+")
_ENCODED = re.compile("%[0-9A-Fa-f]{2}")
_BARE_VARIABLE = re.compile(r"\$[A-Z_][A-Z0-9_]{2,}")
_QUOTES = ("'", '"')


class UnresolvedReferenceError(Exception):
    """An unresolvable reference; the text names the reference, never a value."""


def resolve(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text with its references replaced by their values as they are; of a password.

    A text that begins with `file:` is the path of a file with the whole text, which has no further references.
    Raises UnresolvedReferenceError.
    """
    if text.startswith(_FILE):
        return _read(text)
    _refuse_other_expressions(text)
    return _VARIABLE.sub(lambda match: _value_of(match[1], environment), text)


def resolve_url(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The same for a URL: variables in it are encoded, but for one that holds the URL or its beginning.

    Raises UnresolvedReferenceError, also for a URL whose password would become part of the host.
    """
    if text.startswith(_FILE):
        return _checked(unquoted(_read(text)), text)
    _refuse_other_expressions(text)
    start = _VARIABLE.match(text)
    if start is not None:
        # Its value is a URL, or the beginning of one: what it holds is encoded already.
        beginning = unquoted(_value_of(start[1], environment))
        text, done = beginning + text[start.end() :], len(beginning)
        name = f"environment variable {start[1]}"
    else:
        done, name = 0, "the URL"
    parts, end = [text[:done]], done
    for match in _VARIABLE.finditer(text, done):
        parts += [text[end : match.start()], _encode(match[1], _place(text, match.start()), environment)]
        end = match.end()
    return _checked("".join([*parts, text[end:]]), name)


def path_of(text: str) -> Path | None:
    """The file that a text refers to; None for any other text."""
    return Path(os.path.expanduser(text.removeprefix(_FILE))) if text.startswith(_FILE) else None


def variables(text: str) -> list[str]:
    """The names of the environment variables that a text refers to."""
    return [] if text.startswith(_FILE) else _VARIABLE.findall(text)


def doubts(text: str, environment: Mapping[str, str] = os.environ, *, is_url: bool = True) -> Iterator[str]:
    """What is valid but probably not meant, a line each."""
    if text.startswith(_FILE):
        return
    if is_url and _BARE_VARIABLE.search(text):
        yield "has a $ before a name in capitals, which is not replaced; write ${NAME} for a variable"
    for match in _VARIABLE.finditer(text):
        value, place = environment.get(match[1], ""), _place(text, match.start())
        if unquoted(value) != value and not (is_url and match.start() == 0):
            yield f"environment variable {match[1]} begins and ends with a quote, which is taken as part of the value"
        if place in ("user", "password", "path", "query") and _ENCODED.search(value):
            yield (
                f"environment variable {match[1]} has a % and two hex digits, which are taken as they are: "
                "write the value itself into it, not percent-encoded"
            )
        if place == "user" and ":" in value and ":" not in text.partition(_SCHEME)[2].partition("@")[0]:
            yield (
                f"environment variable {match[1]} has a : and stands where the user's name goes; "
                "write two variables, as in ${USER}:${PASSWORD}"
            )


def unquoted(text: str) -> str:
    """The text without one pair of quotes around it."""
    has_quotes = len(text) > 1 and text[0] in _QUOTES and text[0] == text[-1]
    return text[1:-1] if has_quotes else text


def _value_of(name: str, environment: Mapping[str, str]) -> str:
    """Without the line end that a file, or Windows, leaves at a value's end. Raises UnresolvedReferenceError."""
    value = environment.get(name, "").removeprefix("\ufeff").rstrip("\r\n")
    if not value:
        raise UnresolvedReferenceError(f"environment variable {name} is not set")
    return _of_one_line(value, f"environment variable {name}")


def _of_one_line(value: str, name: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise UnresolvedReferenceError(f"{name} is not UTF-8; set it again from a UTF-8 terminal or file")
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise UnresolvedReferenceError(f"{name} has several lines or a control character; it takes one line of text")
    return value


def _refuse_other_expressions(text: str) -> None:
    if "${" in _VARIABLE.sub("", text):
        raise UnresolvedReferenceError("a ${ that is not followed by a name and }; only ${NAME} is replaced")


def _place(text: str, index: int) -> str:
    """Where in a URL an index is; `start` in a text that is none, or before its `://`."""
    before, scheme, rest = text.partition(_SCHEME)
    index -= len(before) + len(scheme)
    if not scheme or index < 0:
        return "start"
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    if index > len(authority):
        return "query" if "?" in rest[:index] else "path"
    login, at, _ = authority.rpartition("@")
    if not at or index > len(login):
        return "host"
    return "password" if ":" in login[:index] else "user"


def _encode(name: str, place: str, environment: Mapping[str, str]) -> str:
    value = _value_of(name, environment)
    if place == "start":
        return value
    if place == "host":
        if not _HOST.fullmatch(value):
            raise UnresolvedReferenceError(
                f"environment variable {name} stands where the host goes, and has a character that no host or token "
                "has; write user, password and host as variables of their own, or the whole URL as one"
            )
        return value
    return quote(value, safe=_SAFE_IN_PATH if place == "path" else "")


def _checked(url: str, name: str) -> str:
    """Refuses a second @ before the host: what follows the first would be looked up as the host's name."""
    if re.split("[/?]", url.partition(_SCHEME)[2], maxsplit=1)[0].count("@") > 1:
        raise UnresolvedReferenceError(
            f"{name} has more than one @ before the host; in a user or a password, write %40 for it, or a ${{VARIABLE}}"
        )
    return url


def _read(reference: str) -> str:
    try:
        content = read_named(os.path.expanduser(reference.removeprefix(_FILE)), MAX_BYTES + 1)
        text = content.decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8; save the file as UTF-8"
        raise UnresolvedReferenceError(f"{reference}: {reason}") from None
    if not text:
        raise UnresolvedReferenceError(f"{reference}: the file is empty")
    if len(content) > MAX_BYTES:
        raise UnresolvedReferenceError(f"{reference}: larger than {MAX_BYTES // 1024} KiB; it takes one line of text")
    return _of_one_line(text, reference)
