"""Reads the head of an HTTP/1 request, and nothing beyond it; pure."""

import re
from http import HTTPStatus
from typing import NamedTuple

MAX_HEAD_BYTES = 1 << 14
MAX_FIELDS = 100

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*)")


class Request(NamedTuple):
    """A request's head; `fields` by name in lower case, each with all its values, decoded as Latin-1."""

    method: str
    target: str
    fields: dict[str, list[str]]
    keeps_alive: bool

    def field(self, name: str) -> str:
        """The first value of a field; empty without one."""
        return self.fields.get(name, [""])[0]


class BadRequestError(Exception):
    """What was sent is no request that can be answered; `status` says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def find_end(received: bytearray, searched: int) -> int:
    """Where the first head in `received` ends, behind its empty line; -1 without one.

    `searched` bytes are known to hold none, so that one byte at a time does not cost a search of all.
    """
    begin = max(0, searched - 3)
    ends = [at + len(mark) for mark in (b"\n\r\n", b"\n\n") if (at := received.find(mark, begin)) >= 0]
    return min(ends, default=-1)


def parse(head: bytes) -> Request:
    """The request with this head, up to and with its empty line. Raises BadRequestError."""
    line, *lines = head.strip(b"\r\n").replace(b"\r\n", b"\n").split(b"\n")
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    if found[3] != b"1":
        raise BadRequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    if len(lines) > MAX_FIELDS:
        raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    fields: dict[str, list[str]] = {}
    for one in lines:
        field = _FIELD.fullmatch(one)
        if field is None:
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        fields.setdefault(field[1].decode("ascii").lower(), []).append(field[2].decode("latin-1").strip(" \t"))
    keeps_alive = found[4] != b"0" and "close" not in ",".join(fields.get("connection", [])).lower()
    # A body is not read, and must not be taken for the next request.
    if "content-length" in fields or "transfer-encoding" in fields:
        keeps_alive = False
    return Request(found[1].decode("ascii"), found[2].decode("ascii"), fields, keeps_alive)
