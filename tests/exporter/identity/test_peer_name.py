"""Names come from the swarm's own word lists, and from nothing else."""

import hashlib
from pathlib import Path

import pytest

from exporter.identity.peer_name import PeerName, WordLists, find_words, name_peer, parse, short_id

PEER = "QmfPgNGrPryMxduaW1knsJnUDJHT9892ykz6PAqq1CxhFe"

ADJECTIVES = tuple(f"adjective{number}" for number in range(201))
ANIMALS = tuple(f"animal{number}" for number in range(199))
SOURCE = f'''"""Words."""
import os
# fmt: off
ADJECTIVES = {list(ADJECTIVES)!r}

ANIMALS = {list(ANIMALS)!r}
# fmt: on
os.abort()
'''


@pytest.mark.parametrize(
    "place",
    [
        "hivemind_exp/name_utils.py",
        "rgym_exp/src/utils/name_utils.py",
        "code_gen_exp/src/utils/name_utils.py",
        "genrl-swarm/src/genrl_swarm/misc_utils/name_utils.py",
    ],
)
def test_the_lists_of_a_checkout_are_read_and_not_executed(place: str, tmp_path: Path) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)

    assert find_words(tmp_path) == WordLists(ADJECTIVES, ANIMALS)


def test_the_name_is_three_bytes_of_the_ids_hash() -> None:
    """As rl-swarm derives it: the third and the second byte name the adjectives, the first the animal."""
    words = parse(SOURCE)
    for peer in (PEER, *(f"Qm{hashlib.sha256(bytes([number])).hexdigest()[:44]}" for number in range(100))):
        a, b, c = (int(hashlib.md5(peer.encode()).hexdigest()[at : at + 2], 16) for at in (0, 2, 4))

        assert words.name(peer) == f"adjective{c % 201} adjective{b % 201} animal{a % 199}"


def test_a_peer_keeps_the_name_that_a_real_log_says() -> None:
    """`Hello 🐈 [meek soaring vulture]`: where rl-swarm's lists, of 245 and 220 words, have these words."""
    adjectives, animals = ["-"] * 245, ["-"] * 220
    adjectives[104], adjectives[190], animals[206] = "meek", "soaring", "vulture"
    adjectives[19], adjectives[201], animals[213] = "colorful", "stocky", "wildebeest"
    words = WordLists(tuple(adjectives), tuple(animals))

    assert words.name(PEER) == "meek soaring vulture"
    assert words.name("QmcaioPVE5rotRhyDo1LZ4L4sPXW3C9HHnY6nLsnCW5ADK") == "colorful stocky wildebeest"


def test_a_checkout_without_lists_gives_none(tmp_path: Path) -> None:
    (tmp_path / "hivemind_exp").mkdir()
    (tmp_path / "hivemind_exp" / "name_utils.py").write_text("ADJECTIVES = load()\nANIMALS = ['cat']\n")

    assert find_words(tmp_path) is None
    assert find_words(tmp_path / "missing") is None


@pytest.mark.parametrize(
    "source",
    [
        "",
        "ADJECTIVES = [",
        "(" * 5000,
        "ADJECTIVES = ['a']",
        "ADJECTIVES = ['a', 1]\nANIMALS = ['b']",
        "ADJECTIVES = ['a', f'{x}']\nANIMALS = ['b']",
        "ADJECTIVES = ['a\\nb']\nANIMALS = ['b']",
        f"ADJECTIVES = {['a'] * 5000!r}\nANIMALS = ['b']",
        "\x00",
    ],
)
def test_what_is_no_list_of_words_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="no"):
        parse(source)


def test_a_name_of_our_own_is_marked_and_no_animal() -> None:
    assert name_peer(PEER, WordLists(("quick",), ("fox",))) == PeerName("quick quick fox", True)
    assert name_peer(PEER, None) == PeerName(short_id(PEER), False)
    assert short_id(PEER) == "Qm…1CxhFe"
