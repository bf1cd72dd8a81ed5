"""The body of a request that changes something, and the answer where it is refused."""

import json
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

MAX_REQUEST_BYTES = 16 * 1024
READ_TIMEOUT_SECONDS = 10.0


async def read_object(request: Request, max_bytes: int = MAX_REQUEST_BYTES) -> dict[str, Any]:
    """The JSON object in the request's body; an empty body is an empty one. Raises ValueError with one line."""
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > max_bytes:
                raise ValueError(f"request is larger than {max_bytes} bytes")
    except ClientDisconnect:
        raise ValueError("the connection ended before the request did") from None
    try:
        decoded = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise ValueError("request is not JSON") from None
    if not isinstance(decoded, dict):
        raise ValueError("request is not a JSON object")
    return decoded


def problem(status: int, detail: str) -> Response:
    """A refusal, with one line that says why."""
    return JSONResponse({"detail": detail}, status_code=status)
