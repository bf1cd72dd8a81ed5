"""Our encoding is that of eth-abi, and hostile answers cost no more than their bytes."""

import contextlib
import tracemalloc

import pytest
from eth_abi import decode, encode
from eth_utils import function_signature_to_4byte_selector
from hypothesis import given, settings
from hypothesis import strategies as some

from exporter.chain import coordinator
from exporter.chain.abi import Type, function, parse_address, parse_type
from exporter.chain.multicall import AGGREGATE

TYPES = [
    *("uint256", "int256", "address", "bool", "bytes", "string"),
    *("string[]", "address[]", "int256[]", "string[][]", "(address,bool,bytes)[]", "(bool,bytes)[]"),
    *("(uint256,bool)[]", "(uint256,(string,int256)[])"),
]


def values(kind: Type) -> some.SearchStrategy[object]:
    if kind.name == "[]":
        return some.lists(values(kind.parts[0]), max_size=4).map(tuple)
    if kind.name == "()":
        return some.tuples(*map(values, kind.parts))
    return {
        "uint256": some.integers(0, 2**256 - 1),
        "int256": some.integers(-(2**255), 2**255 - 1),
        "address": some.binary(min_size=20, max_size=20).map(lambda data: f"0x{data.hex()}"),
        "bool": some.booleans(),
        "bytes": some.binary(max_size=70),
        "string": some.text(max_size=40),
    }[kind.name]


@pytest.mark.parametrize("signature", TYPES)
@settings(max_examples=40, deadline=None)
@given(data=some.data())
def test_values_are_encoded_and_decoded_as_eth_abi_does(signature: str, data: some.DataObject) -> None:
    given_values = data.draw(some.tuples(values(parse_type(signature)), some.integers(0, 9)))
    ours = function("0x00000000", f"({signature},uint256)", f"({signature},uint256)")

    encoded = ours.encode(*given_values)[4:]

    assert encoded == encode([signature, "uint256"], given_values)
    assert ours.decode(encoded) == given_values == decode([signature, "uint256"], encoded)


@pytest.mark.parametrize("signature", coordinator.SIGNATURES)
def test_selectors_are_those_of_the_signatures(signature: str) -> None:
    assert coordinator.SIGNATURES[signature].selector == function_signature_to_4byte_selector(signature)
    assert f"({signature.partition('(')[2]}" == _write(coordinator.SIGNATURES[signature].inputs)


def test_the_selector_of_multicall_is_that_of_its_signature() -> None:
    assert AGGREGATE.selector == function_signature_to_4byte_selector("aggregate3((address,bool,bytes)[])")


def _write(kind: Type) -> str:
    if kind.name == "[]":
        return f"{_write(kind.parts[0])}[]"
    return f"({','.join(map(_write, kind.parts))})" if kind.name == "()" else kind.name


@settings(max_examples=300, deadline=None)
@given(some.sampled_from(TYPES), some.lists(some.sampled_from([0, 1, 2, 31, 32, 64, 96, 2**255]), max_size=40))
def test_any_answer_is_decoded_or_refused(signature: str, words: list[int]) -> None:
    answer = b"".join(word.to_bytes(32) for word in words)
    with contextlib.suppress(ValueError):
        function("0x00000000", "()", f"({signature})").decode(answer)


def test_an_answer_whose_parts_overlap_does_not_unfold() -> None:
    """Arrays of arrays whose offsets all lead to the same items: 100 KB that would be gigabytes."""
    count = 1000
    inner = count.to_bytes(32) + (32 * count).to_bytes(32) * count + (2000).to_bytes(32) + b"x" * 2016
    outer = (32).to_bytes(32) + count.to_bytes(32) + (32 * count).to_bytes(32) * count + inner
    tracemalloc.start()
    with pytest.raises(ValueError, match="overlap"):
        function("0x00000000", "()", "(string[][])").decode(outer)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(outer) + 500_000


@pytest.mark.parametrize("value", [-1, 2**256])
def test_a_number_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="256 bits"):
        function("0x00000000", "(uint256)", "()").encode(value)


@pytest.mark.parametrize("text", ["", "0x", "0x12", "12" * 21, "0x" + "g" * 40, "0x " + "1" * 39, "0x" + "1" * 41])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no address; one is 0x and 40 hexadecimal digits"):
        parse_address(text)


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("0.3.0", ["0.3"]),
        ("v0.4.3", ["0.4-math", "0.4-math-hard"]),
        ("0.5.8", ["0.5"]),
        ("0.6", ["0.5", "0.6-prg"]),
        ("0.7.0", ["0.7"]),
    ],
)
def test_the_contracts_of_a_release(version: str, names: list[str]) -> None:
    assert list(coordinator.contracts_of(version)) == names


def test_every_contract_has_an_address_of_its_own() -> None:
    assert len({parse_address(address) for address in coordinator.CONTRACTS.values()}) == len(coordinator.CONTRACTS)


def test_a_release_that_is_not_known_is_named() -> None:
    with pytest.raises(ValueError, match=r"'1\.2' is no release whose contract is known"):
        coordinator.contracts_of("1.2")
