"""Whether a request may change something: it carries the API token, or comes from a page of the same origin."""

import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers

from alerts.config import TOKEN_FILE


def refuse(headers: Headers, scheme: str, token: str) -> str:
    """Why a request may change nothing; empty if it may. `scheme` is that of the request: http or https.

    A browser sets `Sec-Fetch-Site` and `Origin` itself; no script can. The Host header is checked before.
    """
    if len(headers.getlist("origin")) > 1 or len(headers.getlist("sec-fetch-site")) > 1:
        return "a request from another site"
    origin, site, host = headers.get("origin"), headers.get("sec-fetch-site"), headers["host"]
    # Behind a proxy that terminates TLS, a page of ours has https where the request has http.
    is_foreign = origin is not None and origin not in (f"http://{host}", f"https://{host}")
    if is_foreign or site not in (None, "same-origin"):
        return "a request from another site"
    if is_owner(headers, token) or site == "same-origin" or origin == f"{scheme}://{host}":
        return ""
    if origin is not None:
        return "a request from another site"
    return f"neither the token of {TOKEN_FILE} nor a header that proves the same origin"


def is_owner(headers: Mapping[str, str], token: str) -> bool:
    """Whether a request carries the token of the token file, which only its owner can read."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())
