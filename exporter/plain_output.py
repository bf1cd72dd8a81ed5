"""What a terminal, a pipe or a log cannot encode is written in ASCII, and never ends a process."""

import codecs
import io
import os
import sys
from typing import TextIO

# Characters of our own texts, each with what it is in ASCII; any other is shown by its number.
_PLAIN = {"…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "±": "+/-", "→": "->", "█": "#", "·": "-", "\u00a0": " "}
_HANDLER = "peerwatch-plain"


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = (_PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode() for character in text)
    return "".join(plain), error.end


def allow_any_text() -> None:
    """For the standard output and the standard error of this process; each process's `main` begins with it.

    A stream that is closed is one of nothing from then on.
    """
    codecs.register_error(_HANDLER, _replace)
    # Closed by a service manager, or by `>&-`.
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 as long as the process lives
    sys.stdout, sys.stderr = sys.stdout or nowhere(), sys.stderr or nowhere()
    for stream in (sys.stdout, sys.stderr):
        # Not a test's own.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def nowhere() -> TextIO:
    """An output that is thrown away."""
    return open(os.devnull, "w", errors=_HANDLER)
