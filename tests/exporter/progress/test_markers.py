"""Markers are found where a plain search finds them, however common their bytes are."""

import re

from hypothesis import given
from hypothesis import strategies as st

from exporter.progress.markers import TRIES, Beginnings, Words

letters = st.text(alphabet="ab{'\n", max_size=200).map(str.encode)


@given(letters, st.sampled_from([b"{'", b"a{", b"'", b"ab", b"aab{", b"{{"]), st.integers(0, 200))
def test_words_are_found_as_by_a_plain_search(text, words, place):
    assert Words(words).find(text, place) == text.find(words, place)


def test_words_of_a_byte_that_is_common_here_are_found():
    text = b"{ " * (3 * TRIES) + b"{'"
    assert Words(b"{'").find(text, 0) == len(text) - 2
    assert Words(b'{"').find(text, 0) == -1


@given(letters, st.integers(0, 200))
def test_beginnings_are_found_where_lines_begin(text, place):
    begin = text.rfind(b"\n", 0, place) + 1
    expected = min(
        (found.start() for found in re.finditer(rb"(?m)^(?:a'|b)", text) if found.start() >= begin), default=-1
    )
    assert Beginnings(b"a'", b"b").find(text, begin) == expected
