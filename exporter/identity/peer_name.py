"""The name of a peer that the swarm's operators know: two adjectives and an animal, from the swarm's own word lists.

The lists are part of rl-swarm, so that they are read from a checkout of it (`name_utils.py`), as text and never
executed. Without one there is no such name: an animal of other lists would point an operator at the wrong peer, and a
name of our own making is a short form of the id.
"""

import ast
import hashlib
from pathlib import Path
from typing import NamedTuple

from exporter.run_folder import read_bounded

FILE_NAME = "name_utils.py"
# Where the releases keep the file, below the checkout; 0.4, 0.5 to 0.7, and a vendored genrl.
_PLACES = (f"*/{FILE_NAME}", f"*/src/utils/{FILE_NAME}", f"*/utils/{FILE_NAME}", f"*/src/*/*/{FILE_NAME}")

MAX_BYTES = 256 << 10
MAX_WORDS = 4096
MAX_WORD = 40


class PeerName(NamedTuple):
    """`text` as it is shown; `is_swarms` is False for a short form of the id, which only Peerwatch uses."""

    text: str
    is_swarms: bool


class WordLists(NamedTuple):
    """The words in the order of the swarm's lists."""

    adjectives: tuple[str, ...]
    animals: tuple[str, ...]

    def name(self, peer_id: str) -> str:
        """The name, in words with spaces between them; three bytes of a hash, so that two peers may share it."""
        digest = hashlib.md5(peer_id.encode(), usedforsecurity=False).digest()
        first, second = (self.adjectives[digest[place] % len(self.adjectives)] for place in (2, 1))
        return f"{first} {second} {self.animals[digest[0] % len(self.animals)]}"


def name_peer(peer_id: str, words: WordLists | None) -> PeerName:
    """The swarm's name for a peer where its word lists are known, else a short form of the id."""
    return PeerName(words.name(peer_id), True) if words else PeerName(short_id(peer_id), False)


def short_id(peer_id: str) -> str:
    """`Qm…a1B2c3`: enough of an id to tell peers of one swarm apart."""
    prefix = "Qm" if peer_id.startswith("Qm") else "12D3"
    return f"{prefix}…{peer_id[-6:]}"


def find_words(checkout: Path) -> WordLists | None:
    """The word lists of a checkout; None where it has none that can be read."""
    for pattern in _PLACES:
        for path in sorted(checkout.glob(pattern)):
            try:
                return parse(read_bounded(path.resolve(), MAX_BYTES).decode())
            except (OSError, ValueError):
                continue
    return None


def parse(source: str) -> WordLists:
    """The lists ADJECTIVES and ANIMALS of a Python file, which is not executed. Raises ValueError."""
    found: dict[str, tuple[str, ...]] = {}
    try:
        module = ast.parse(source)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("not a Python file") from None
    for statement in module.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.List | ast.Tuple):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = _read_words(statement.value)
    words = WordLists(found.get("ADJECTIVES", ()), found.get("ANIMALS", ()))
    if not words.adjectives or not words.animals:
        raise ValueError("no lists ADJECTIVES and ANIMALS")
    return words


def _read_words(node: ast.List | ast.Tuple) -> tuple[str, ...]:
    """The words; none of them where one is not a short printable text, as its place in the list decides the names."""
    words = [item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    fit = len(words) == len(node.elts) <= MAX_WORDS and all(
        0 < len(word) <= MAX_WORD and word.isprintable() for word in words
    )
    return tuple(words) if fit else ()
