"""Encodes arguments and decodes results of contract functions (https://docs.soliditylang.org/en/latest/abi-spec.html).

Only the types that the functions here have: integers of 256 bits, addresses, booleans, bytes, text, arrays and tuples
of them. Results are anybody's bytes: whatever does not fit raises ValueError, and what is decoded is never larger than
what was received, however its offsets overlap.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

WORD = 32

_SIGN = 1 << 255
_DYNAMIC = ("bytes", "string")
_STATIC = ("uint256", "int256", "address", "bool")


class Type(NamedTuple):
    """`name` is an elementary type, `[]` for an array of the one in `parts`, or `()` for a tuple of them."""

    name: str
    parts: tuple["Type", ...] = ()

    @property
    def is_dynamic(self) -> bool:
        return self.name in _DYNAMIC or self.name == "[]" or any(part.is_dynamic for part in self.parts)

    @property
    def head_bytes(self) -> int:
        """How long it is in the head of its tuple or array."""
        if self.is_dynamic or self.name != "()":
            return WORD
        return sum(part.head_bytes for part in self.parts)


class Function(NamedTuple):
    """A function of a contract: the first four bytes of the hash of its signature, and its types."""

    selector: bytes
    inputs: Type
    outputs: Type

    def encode(self, *arguments: Any) -> bytes:
        """The data of a call. Raises ValueError for what the types do not take."""
        return self.selector + _encode(self.inputs, arguments)

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """The results, in a tuple. Raises ValueError."""
        found: tuple[Any, ...] = _Decoder(data).read(self.outputs, 0)
        return found


def function(selector: str, inputs: str, outputs: str) -> Function:
    """`function("0x80c3d97f", "(string[])", "(int256[])")`."""
    return Function(bytes.fromhex(selector.removeprefix("0x")), parse_type(inputs), parse_type(outputs))


@cache
def parse_type(text: str) -> Type:
    """A type as signatures write it, such as `(address,bool,bytes)[]`. Raises ValueError."""
    if text.endswith("[]"):
        return Type("[]", (parse_type(text[:-2]),))
    if text.startswith("(") and text.endswith(")"):
        return Type("()", tuple(parse_type(part) for part in _split(text[1:-1])))
    if text not in _DYNAMIC + _STATIC:
        raise ValueError(f"{text!r} is no type that is known here")
    return Type(text)


def _split(text: str) -> Iterable[str]:
    depth, start = 0, 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    if text:
        yield text[start:]


def _encode(kind: Type, value: Any) -> bytes:
    if kind.name == "[]":
        return _word(len(value)) + _encode_parts(kind.parts * len(value), value)
    if kind.name == "()":
        return _encode_parts(kind.parts, value)
    if kind.name in _DYNAMIC:
        data = value.encode() if kind.name == "string" else bytes(value)
        return _word(len(data)) + data + bytes(-len(data) % WORD)
    if kind.name == "address":
        return _word(int.from_bytes(parse_address(value)))
    return _word(int(value) % (1 << 256) if kind.name == "int256" else int(value))


def _encode_parts(parts: Sequence[Type], values: Sequence[Any]) -> bytes:
    if len(parts) != len(values):
        raise ValueError(f"{len(values)} values for {len(parts)} types")
    heads, tails = [], []
    place = sum(part.head_bytes for part in parts)
    for part, value in zip(parts, values, strict=True):
        data = _encode(part, value)
        if part.is_dynamic:
            heads.append(_word(place))
            tails.append(data)
            place += len(data)
        else:
            heads.append(data)
    return b"".join(heads + tails)


def _word(value: int) -> bytes:
    if not 0 <= value < 1 << 256:
        raise ValueError(f"{value} does not fit into 256 bits")
    return value.to_bytes(WORD)


def parse_address(text: str) -> bytes:
    """The 20 bytes of `0x…`. Raises ValueError."""
    try:
        data = bytes.fromhex(text[2:]) if text[:2].lower() == "0x" and len(text) == 42 else b""
    except ValueError:
        data = b""
    if len(data) != 20:
        raise ValueError(f"{text[:64]!r} is no address; one is 0x and 40 hexadecimal digits")
    return data


class _Decoder:
    """Reads one answer; `budget` are the bytes that may still be taken from it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._budget = len(data)

    def read(self, kind: Type, place: int) -> Any:
        """The value whose content begins at `place`."""
        if kind.name == "()":
            return self._read_parts(kind.parts, place)
        if kind.name == "[]":
            count = self._number(place)
            # Each item takes at least its head.
            if count * WORD > len(self._data):
                raise ValueError("an array that is longer than the answer")
            return self._read_parts(kind.parts * count, place + WORD)
        if kind.name in _DYNAMIC:
            data = self._take(place + WORD, self._number(place))
            return data.decode("utf-8", "replace") if kind.name == "string" else data
        return self._read_word(kind, place)

    def _read_parts(self, parts: Sequence[Type], base: int) -> tuple[Any, ...]:
        values, place = [], base
        for part in parts:
            values.append(self.read(part, base + self._number(place) if part.is_dynamic else place))
            place += part.head_bytes
        return tuple(values)

    def _read_word(self, kind: Type, place: int) -> Any:
        value = self._number(place)
        if kind.name == "int256":
            return value - 2 * _SIGN if value & _SIGN else value
        if kind.name == "bool":
            if value > 1:
                raise ValueError("a truth value that is neither 0 nor 1")
            return bool(value)
        if kind.name == "address":
            if value >> 160:
                raise ValueError("an address that is longer than one")
            return f"0x{value:040x}"
        return value

    def _number(self, place: int) -> int:
        return int.from_bytes(self._take(place, WORD))

    def _take(self, place: int, size: int) -> bytes:
        end = place + size
        if end > len(self._data):
            raise ValueError("an offset or a length beyond the answer")
        self._budget -= size
        if self._budget < 0:
            raise ValueError("parts that overlap")
        return self._data[place:end]
