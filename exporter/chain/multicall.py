"""Many contract calls in one, by the contract Multicall3 (https://www.multicall3.com): of one block, each may fail."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from exporter.chain.abi import Function, function
from exporter.chain.rpc import RpcError, Service, to_bytes

# A hundred peers at two contracts; an eth_call of so many stays within the gas that public services allow.
MAX_CALLS = 512

AGGREGATE = function("0x82ad56cb", "((address,bool,bytes)[])", "((bool,bytes)[])")


class Call(NamedTuple):
    """One function of one contract."""

    contract: str
    function: Function
    arguments: tuple[Any, ...] = ()


def call_all(service: Service, multicall: str, calls: Sequence[Call], block: int) -> list[tuple[Any, ...] | None]:
    """The results of each call at the end of a block; None for one that reverts or answers something else.

    One request for each `MAX_CALLS`. Raises RpcError where Multicall3 itself does not answer.
    """
    found: list[tuple[Any, ...] | None] = []
    for start in range(0, len(calls), MAX_CALLS):
        found += _call_some(service, multicall, calls[start : start + MAX_CALLS], block)
    return found


def _call_some(service: Service, multicall: str, calls: Sequence[Call], block: int) -> list[tuple[Any, ...] | None]:
    data = AGGREGATE.encode([(call.contract, True, call.function.encode(*call.arguments)) for call in calls])
    answer = to_bytes(service, service.call("eth_call", {"to": multicall, "data": f"0x{data.hex()}"}, hex(block)))
    try:
        (results,) = AGGREGATE.decode(answer)
    except ValueError:
        results = ()
    if len(results) != len(calls):
        raise RpcError(f"{service.host}: no Multicall3 at {multicall} on this chain; set multicall to its address")
    return [_decode(call.function, *result) for call, result in zip(calls, results, strict=True)]


def _decode(called: Function, success: bool, data: bytes) -> tuple[Any, ...] | None:
    try:
        return called.decode(data) if success else None
    except ValueError:
        return None
