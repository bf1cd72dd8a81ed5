"""What a machine pushes to a watcher: its sidecars' pages in one piece, and how far that may go. Pure.

A line of JSON says what follows it: the pages one after the other. It alone is small, as JSON takes many times its size
in memory.
"""

import gzip
import json
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from exporter.machine.machine_file import MAX_BYTES, check_names

PUSH_PATH = "/api/pages"
# Of all pages together, as sent and unpacked.
MAX_PUSH_BYTES = 4 << 20
MAX_SEQUENCE = 1 << 53


class Push(NamedTuple):
    """One push: its number, the names of the machine's peers, and the page of each whose sidecar answered."""

    sequence: int
    peers: tuple[str, ...]
    pages: Mapping[str, bytes]


class TooLargeError(Exception):
    """A push is larger than what is read."""


def render(push: Push) -> bytes:
    """As it is sent, compressed; pages that do not fit any more are left out."""
    left = MAX_PUSH_BYTES - MAX_BYTES
    pages = {}
    for peer, page in push.pages.items():
        left -= len(page)
        if left >= 0:
            pages[peer] = page
    lengths = {peer: len(page) for peer, page in pages.items()}
    head = json.dumps({"sequence": push.sequence, "peers": push.peers, "pages": lengths})
    return gzip.compress(b"".join([head.encode(), b"\n", *pages.values()]), compresslevel=4)


def unpack(body: bytes) -> bytes:
    """The content of a compressed body, never more than is allowed. Raises TooLargeError, or ValueError."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(body, MAX_PUSH_BYTES + 1)
    except zlib.error:
        raise ValueError("the body is not compressed by gzip") from None
    if len(content) > MAX_PUSH_BYTES:
        raise TooLargeError
    if not unpacker.eof:
        raise ValueError("the body is not compressed by gzip")
    return content


def parse(content: bytes) -> Push:
    """What `render` made, unpacked; a stranger may have sent it.

    Raises ValueError with one line that quotes nothing.
    """
    end = content.find(b"\n", 0, MAX_BYTES)
    try:
        head = json.loads(content[: max(0, end)])
        sequence, peers, lengths = head["sequence"], head["peers"], head["pages"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("its first line is no sequence, peers and pages as JSON") from None
    if type(sequence) is not int or not 0 < sequence < MAX_SEQUENCE:
        raise ValueError(f"its sequence is no number from 1 to {MAX_SEQUENCE - 1}")
    if not isinstance(peers, list):
        raise ValueError("its peers are no list")
    check_names(peers)
    if not isinstance(lengths, dict) or not lengths.keys() <= set(peers):
        raise ValueError("its pages are not those of its peers")
    pages, begin = {}, end + 1
    for peer, length in lengths.items():
        if type(length) is not int or not 0 <= length <= len(content) - begin:
            raise ValueError("the length of a page is not that of what follows")
        pages[peer] = content[begin : begin + length]
        begin += length
    if begin != len(content):
        raise ValueError("something follows its pages")
    return Push(sequence, tuple(peers), pages)
