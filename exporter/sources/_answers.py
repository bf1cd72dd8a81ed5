"""Checked answers of services that speak JSON over HTTP."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

from exporter.http_client import HttpClient, ReadError, name_host
from exporter.sources import SourceError
from trainer.protocol import MAX_ROUND, MAX_STAGE

# Names of the swarm are words; whatever else a service sends is no name, and never markup on a page.
_NAME = re.compile(r"\w[\w .'…-]{0,63}")
_TOO_MANY = 429

# No reward of any swarm is beyond it, and sums of such stay exact enough.
MAX_VALUE = 1e15


def get_json(client: HttpClient, url: str, *, also: int = 200) -> tuple[int, Any]:
    """Status, which is 200 or `also`, and the decoded JSON. Raises SourceError, one line that names host and path."""
    shown = name_host(url) + urlsplit(url).path
    try:
        status, content_type, body = client.get(url)
    except ReadError as error:
        raise SourceError(f"{shown}: {str(error).removeprefix(url).removeprefix(': ')}") from None
    if status == _TOO_MANY:
        raise SourceError(f"{shown}: answers 429, too many requests", is_limit=True)
    if content_type == "text/html" and status in (200, also):
        raise SourceError(f"{shown}: is a web page, not JSON; the service has no such path")
    if status not in (200, also):
        raise SourceError(f"{shown}: answers with status {status}")
    try:
        return status, json.loads(body)
    except (ValueError, RecursionError):
        raise SourceError(f"{shown}: is not JSON") from None


def read_name(value: object) -> str | None:
    """A name of words; None for anything else."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def read_place(answer: object) -> tuple[int, int] | None:
    """Round and stage; None before a server's first poll, where they are -1, and for anything else."""
    if not isinstance(answer, dict):
        return None
    at = read_whole(answer.get("round"), most=MAX_ROUND), read_whole(answer.get("stage"), most=MAX_STAGE)
    return (at[0], at[1]) if at[0] is not None and at[1] is not None else None


def read_whole(value: object, *, most: int = 2**53) -> int | None:
    """A whole number from 0; None for anything else."""
    return value if type(value) is int and 0 <= value <= most else None
