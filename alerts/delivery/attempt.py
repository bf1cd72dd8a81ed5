"""What apprise and the services say during one attempt: apprise itself returns only a boolean.

Apprise logs the rest, and its plug-ins send through requests, whose transport is the one place that every answer
passes. Both are kept for the thread that makes an attempt, and are neither logged nor changed. They may hold the
route's URL.
"""

import contextlib
import contextvars
import functools
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ReadTimeout

from alerts.delivery.answers import Answer

MAX_RECORDS = 50
MAX_RECORD_LENGTH = 4096
MAX_ANSWERS = 50
# More than that is no answer to a message; the rest is not read.
MAX_ANSWER_BYTES = 1024 * 1024
MAX_ANSWER_SECONDS = 40.0


@dataclass
class Attempt:
    """The log records of an attempt, and the answers of the services, in order."""

    records: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


_attempt: contextvars.ContextVar[Attempt | None] = contextvars.ContextVar("attempt", default=None)


@contextlib.contextmanager
def record_attempt() -> Iterator[Attempt]:
    """Keeps what is said in this thread until the block ends."""
    attempt = Attempt()
    token = _attempt.set(attempt)
    try:
        yield attempt
    finally:
        _attempt.reset(token)


class _Recorder(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        attempt = _attempt.get()
        if attempt is not None and len(attempt.records) < MAX_RECORDS:
            attempt.records.append(record.getMessage()[:MAX_RECORD_LENGTH])


def listen() -> None:
    """Begins to keep what is said, and keeps apprise's and its transports' records out of the log, as they have URLs.

    Calling it again changes nothing.
    """
    logger = logging.getLogger("apprise")
    logger.handlers = [_Recorder()]
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    for transport in ("urllib3", "requests", "charset_normalizer"):
        logging.getLogger(transport).setLevel(logging.CRITICAL)
    if not hasattr(HTTPAdapter.send, "__wrapped__"):
        HTTPAdapter.send = _listen_to(HTTPAdapter.send)  # type: ignore[method-assign]


def _listen_to(send: Any) -> Any:
    @functools.wraps(send)
    def send_and_keep(
        adapter: HTTPAdapter, request: PreparedRequest, stream: bool = False, *args: Any, **options: Any
    ) -> Response:
        attempt = _attempt.get()
        if attempt is None:
            return send(adapter, request, stream, *args, **options)
        response: Response = send(adapter, request, True, *args, **options)
        if not stream:
            response._content, response._content_consumed = _read(response), True
            if len(attempt.answers) < MAX_ANSWERS:
                lost = _find_redirect(request, response)
                attempt.answers.append(Answer(response.status_code, response._content, _read_pause(response), lost))
        return response

    return send_and_keep


def _read(response: Response) -> bytes:
    """The body, MAX_ANSWER_BYTES of it; raises ReadTimeout, or as requests does while it reads."""
    body = bytearray()
    deadline = time.monotonic() + MAX_ANSWER_SECONDS
    for piece in response.iter_content(65536):
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            response.close()
            break
        if time.monotonic() > deadline:
            response.close()
            raise ReadTimeout("timed out")
    return bytes(body[:MAX_ANSWER_BYTES])


def _find_redirect(request: PreparedRequest, response: Response) -> str:
    """Where requests goes on with a GET, without what it was to send: the scheme and host; empty if it does not."""
    drops = request.method == "POST" if response.status_code == 301 else response.status_code in (302, 303)
    if not response.is_redirect or not drops or request.method in ("GET", "HEAD"):
        return ""
    try:
        parts = urlsplit(urljoin(request.url or "", response.headers["location"]))
        return f"{parts.scheme}://{parts.hostname or ''}"[:100]
    except ValueError:
        return "an address that is none"


def _read_pause(response: Response) -> float | None:
    """The seconds of Retry-After; a date there is ignored."""
    text = response.headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
