"""Whether a request that changes something comes from the operator: by the token file, or by a page of ours."""

import base64
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from alerts.config import TOKEN_FILE

HEADER = "x-csrf-token"
_BYTES = 32


class PageTokens:
    """The tokens that our pages carry. Each page has another text of the same secret: it is masked with random bytes.

    A page is compressed together with text that strangers chose, whose length could betray a fixed text bit by bit.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(_BYTES)

    def make(self) -> str:
        mask = secrets.token_bytes(_BYTES)
        return base64.urlsafe_b64encode(mask + _mix(mask, self._secret)).decode()

    def is_valid(self, token: str) -> bool:
        try:
            content = base64.b64decode(token.encode("ascii", "replace"), altchars=b"-_", validate=True)
        except ValueError:
            return False
        mask, masked = content[:_BYTES], content[_BYTES:]
        return len(content) == 2 * _BYTES and hmac.compare_digest(_mix(mask, masked), self._secret)


def refuse(headers: Mapping[str, str], token: str, pages: PageTokens) -> str:
    """Why a request may change nothing; empty if it may. A page of another site cannot ask in its reader's name."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if (origin is not None and urlsplit(origin).netloc != headers.get("host")) or site not in (None, "same-origin"):
        return "a request from another site"
    if is_owner(headers, token):
        return ""
    if HEADER not in headers:
        return f"the token of {TOKEN_FILE} is missing or wrong"
    if origin is None and site is None:
        return "the request does not say from which page it comes"
    return "" if pages.is_valid(headers[HEADER]) else "the page is too old; load it anew"


def is_owner(headers: Mapping[str, str], token: str) -> bool:
    """Whether a request carries the token of the token file, which only its owner can read."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _mix(left: bytes, right: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(left, right, strict=False))
