"""What a machine pushes, and what a stranger may send instead."""

import gzip
import json

import pytest

from exporter.machine.machine_file import MAX_PEERS
from exporter.machine.push_format import MAX_PUSH_BYTES, Push, TooLargeError, parse, render, unpack

PAGES = {"amber": b"trainer_up 1\n", "basalt": b"# \xff no text\n\n"}
PUSH = Push(7, ("amber", "basalt", "cobalt"), PAGES)


def test_a_push_is_read_as_it_was_sent() -> None:
    assert parse(unpack(render(PUSH))) == PUSH


def test_pages_that_do_not_fit_are_left_out() -> None:
    large = PUSH._replace(pages={"amber": b"x" * (3 << 20), "basalt": b"y" * (2 << 20), "cobalt": b"z"})
    assert list(parse(unpack(render(large))).pages) == ["amber"]


def test_the_most_peers_fit_into_the_head() -> None:
    peers = tuple(f"{number:064d}" for number in range(MAX_PEERS))
    push = Push((1 << 53) - 1, peers, dict.fromkeys(peers, b"x" * 9999))
    assert parse(unpack(render(push))) == push


@pytest.mark.parametrize("size", [MAX_PUSH_BYTES + 1, 50 << 20])
def test_no_more_is_unpacked_than_is_allowed(size: int) -> None:
    with pytest.raises(TooLargeError):
        unpack(gzip.compress(bytes(size)))


# The time is in what gzip makes, and the names of tests must be the same in all workers.
@pytest.mark.parametrize("body", [b"", b"plain", gzip.compress(b"cut off")[:-9]], ids=["empty", "plain", "cut off"])
def test_what_gzip_did_not_make_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not compressed by gzip"):
        unpack(body)


def head(**changes: object) -> bytes:
    return json.dumps({"sequence": 1, "peers": ["a"], "pages": {"a": 3}, **changes}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        b"[]\nabc",
        b"[" * 50_000 + b"\nabc",
        b"9" * 5000 + b"\nabc",
        head(),
        head() + b"\nab",
        head() + b"\nabcd",
        head(sequence=0) + b"\nabc",
        head(sequence=True) + b"\nabc",
        head(sequence=1.0) + b"\nabc",
        head(sequence=1 << 53) + b"\nabc",
        head(peers=[]) + b"\nabc",
        head(peers={"a": 1}) + b"\nabc",
        head(peers=["../a"]) + b"\nabc",
        head(peers=[["a"]]) + b"\nabc",
        head(peers=[f"p{n}" for n in range(MAX_PEERS + 1)], pages={}) + b"\n",
        head(pages={"b": 3}) + b"\nabc",
        head(pages={"a": -1}) + b"\nabc",
        head(pages={"a": True}) + b"\na",
        head(pages={"a": 1 << 60}) + b"\nabc",
        head(pages=[]) + b"\n",
        head(more="x" * (1 << 16)) + b"\nabc",
    ],
)
def test_anything_else_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$"):
        parse(content)
