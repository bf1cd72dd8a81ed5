"""Small answers over HTTP within a fixed time; the sidecar's only importer of httpx."""

import sys
import time

# httpx imports its command line along with the library where click and rich happen to be installed: 5 MB that no
# sidecar needs. None in this place makes that import fail as it does where they are not installed.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import httpx  # noqa: E402


class ReadError(Exception):
    """No usable answer; the text says why."""


class HttpClient:
    """Reads from one service: no redirects, no proxies, no answer beyond a size or a time."""

    def __init__(self, *, verify: bool = True, timeout_seconds: float = 2.0) -> None:
        # Without TLS there is nothing to verify, and the certificate store stays out of memory.
        self._client = httpx.Client(verify=verify, trust_env=False, timeout=timeout_seconds)
        self._timeout = timeout_seconds

    def get(self, url: str, *, max_bytes: int) -> tuple[int, str, bytes]:
        """Status, content type without parameters, body. Raises ReadError."""
        deadline = time.monotonic() + self._timeout
        body = bytearray()
        try:
            with self._client.stream("GET", url, headers={"Accept": "application/json"}) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > max_bytes:
                        raise ReadError(f"{url} answered more than {max_bytes} bytes")
                    if time.monotonic() > deadline:
                        raise ReadError(f"{url} took longer than {self._timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ReadError(f"{url}: {error or type(error).__name__}") from None
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return response.status_code, content_type, bytes(body)
