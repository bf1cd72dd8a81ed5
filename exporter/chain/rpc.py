"""JSON-RPC with several services that serve the same chain: one that fails is left alone for a while."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from exporter.http_client import HttpClient, ReadError, name_host

# A first back-off, and the longest.
BACK_OFF_SECONDS = 60.0
MAX_BACK_OFF_SECONDS = 3600.0
MAX_MESSAGE = 120
# What is shorter in a URL is a word of its path.
MIN_KEY = 7

_TOO_MANY = 429
# EIP-1474: limit exceeded; some services put the HTTP status there.
_LIMIT_CODES = (-32005, _TOO_MANY)
_LIMIT_TEXT = re.compile(r"rate.?limit|too many requests|exceeded .*capacity", re.IGNORECASE)
_URL_MARKS = re.compile(r"[/?&=]")
_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,64}")

Result = TypeVar("Result")


class RpcError(Exception):
    """No usable answer of a service; one line that names its host. `is_limit` where it asks to be left alone."""

    def __init__(self, reason: str, *, is_limit: bool = False) -> None:
        super().__init__(reason)
        self.is_limit = is_limit


@dataclass
class Service:
    """One URL, and what is known of it. Times are Unix seconds; `calls` counts requests."""

    url: str
    client: HttpClient
    calls: int = 0
    chain_id: int | None = None
    failures: int = 0
    blocked_until: float = 0.0

    @property
    def host(self) -> str:
        return name_host(self.url)

    def call(self, method: str, *parameters: Any) -> Any:
        """The result of one method. Raises RpcError."""
        self.calls += 1
        request = {"jsonrpc": "2.0", "id": self.calls, "method": method, "params": parameters}
        try:
            status, content_type, body = self.client.post(self.url, json.dumps(request).encode())
        except ReadError as error:
            raise RpcError(str(error)) from None
        if status == _TOO_MANY:
            raise RpcError(f"{self.host}: answers 429, too many requests", is_limit=True)
        answer = self._parse(body)
        if answer is None:
            shown = f"{status} {content_type}".rstrip()
            raise RpcError(f"{self.host}: answers {shown} to {method}, not JSON-RPC; is it the URL of an RPC service?")
        if answer.get("error") is not None:
            raise self._refused(method, answer["error"])
        if answer.get("id") != self.calls or "result" not in answer or status != 200:
            raise RpcError(f"{self.host}: answers {status} to {method} without its result")
        return answer["result"]

    def _parse(self, body: bytes) -> dict[str, Any] | None:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return None
        is_answer = isinstance(answer, dict) and ("result" in answer or "error" in answer)
        return answer if is_answer else None

    def _refused(self, method: str, error: Any) -> RpcError:
        code = error.get("code") if isinstance(error, dict) else None
        text = str(error.get("message", "") if isinstance(error, dict) else error)[: 8 * MAX_MESSAGE]
        # Some services repeat the key that they do not take.
        for part in _URL_MARKS.split(self.url.partition("://")[2].partition("/")[2]):
            text = text.replace(part, "…") if len(part) >= MIN_KEY else text
        text = "".join(character if character.isprintable() else " " for character in text[:MAX_MESSAGE]).strip()
        is_limit = code in _LIMIT_CODES or _LIMIT_TEXT.search(text) is not None
        return RpcError(f"{self.host}: {method}: {text or 'refused'}", is_limit=is_limit)


class Rpc:
    """The services, in the order in which they are asked; the one that worked last comes first."""

    def __init__(self, urls: Sequence[str], chain_id: int, client: HttpClient) -> None:
        self._services = [Service(url, client) for url in urls]
        self._chain_id = chain_id

    @property
    def calls(self) -> int:
        """Requests so far."""
        return sum(service.calls for service in self._services)

    def run(self, work: Callable[[Service], Result], now: float) -> Result:
        """What `work` returns with the first service that does it wholly. Raises RpcError with all reasons."""
        reasons, blocked = [], []
        for service in list(self._services):
            if now < service.blocked_until:
                blocked.append(service)
                continue
            try:
                self._check_chain(service)
                found = work(service)
            except RpcError as error:
                self._put_off(service, error, now)
                reasons.append(str(error))
                continue
            service.failures = 0
            self._services.sort(key=lambda other: other is not service)
            return found
        reasons += [f"{service.host}: left alone for {service.blocked_until - now:.0f} s more" for service in blocked]
        raise RpcError("; ".join(reasons))

    def _check_chain(self, service: Service) -> None:
        if service.chain_id is None:
            service.chain_id = to_number(service, service.call("eth_chainId"))
        if service.chain_id != self._chain_id:
            wrong, service.chain_id = service.chain_id, None
            raise RpcError(f"{service.host}: serves chain {wrong}, not {self._chain_id}; correct rpc or chain_id")

    def _put_off(self, service: Service, error: RpcError, now: float) -> None:
        # It may be another one behind the same name next time.
        service.chain_id = None
        service.failures += 1
        if error.is_limit:
            seconds = BACK_OFF_SECONDS * 2 ** min(service.failures, 10)
            service.blocked_until = now + min(seconds, MAX_BACK_OFF_SECONDS)


def to_number(service: Service, value: Any) -> int:
    """A quantity, `0x…`. Raises RpcError."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value, 16)
    raise RpcError(f"{service.host}: {str(value)[:32]!r} is no number")


def to_bytes(service: Service, value: Any) -> bytes:
    """Data, `0x…`. Raises RpcError."""
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return bytes.fromhex(value[2:])
    except ValueError:
        pass
    raise RpcError(f"{service.host}: {str(value)[:32]!r} is no data")
