"""YAML as people write it is plain data, or a mistake with its line; nothing in it takes long or ends a process."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.files.yaml_text import MAX_BYTES, dump, load, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6),
        ("1E+3", 1000.0),
        ("-1.5e+3", -1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1_000", 1000),
        ("0x10", 16),
        ("0o10", 8),
        ("0", 0),
        ("-7", -7),
        ("2.0", 2.0),
        # These mean a number to base 8 or 60 in YAML 1.1, something else to people.
        ("08", "08"),
        ("010", "010"),
        ("22:30", "22:30"),
        ("1e", "1e"),
        ("e3", "e3"),
        ("1.2.3", "1.2.3"),
        ("'1e-6'", "1e-6"),
        ("no", False),
        ("~", None),
    ],
)
def test_a_scalar_is_what_yaml_1_2_says_of_numbers(text: str, value: object) -> None:
    found = parse(f"a: {text}\n").data["a"]
    assert found == value
    assert type(found) is type(value)


def mistakes(text: str | bytes) -> list[tuple[str, int | None, str]]:
    return [(".".join(map(str, one.location)), one.line, one.message) for one in parse(text).mistakes]


@pytest.mark.parametrize(
    ("text", "place", "line", "words"),
    [
        ("a: 1\nb: {c: .nan}\n", "b.c", 2, "not a finite number"),
        ("a: [1, -.inf]\n", "a.1", 1, "not a finite number"),
        ("a: 1.0e999\n", "a", 1, "not a finite number"),
        (f"a: {'9' * 6000}\n", "a", 1, "more than 100 digits"),
        (f"a: 1.{'9' * 6000}\n", "a", 1, "more than 100 digits"),
        (f"a: 0x{'f' * 6000}\n", "a", 1, "more than 100 digits"),
        ("a: “tiny”\n", "a", 1, "typographic quote"),
        ("“a”: tiny\n", "“a”", 1, "typographic quote"),
        ("a: &a [*a]\n", "", 1, "contain itself"),
        ("a: {b: 1}\nc:\n  b: 2\n  b: 3\n", "c.b", 4, "duplicate key, first in line 3"),
        ("[" * 20_000, "", 1, "nested more than 50 levels deep"),
        ("{a: " * 20_000, "", 1, "nested more than 50 levels deep"),
        ("- " * 20_000, "", 1, "nested more than 50 levels deep"),
        (b"a: 1\nb: \xff\n", "", 2, "not UTF-8"),
        ("a: 1\n".encode("utf-16"), "", 1, "not UTF-8"),
        ("? [a]\n: 1\n", "", 1, "unhashable key"),
        ("a: !!int b\n", "", None, "not valid YAML"),
        ('a: "b\\0c"\n', "a", 1, "has a NUL"),
        ('a: ["\\ud800"]\n', "a.0", 1, "half a character"),
        ("a:\n\tb: 1\n", "", 2, "a tab; indent with blanks"),
    ],
)
def test_what_cannot_be_meant_is_a_mistake_with_its_place(
    text: str | bytes, place: str, line: int | None, words: str
) -> None:
    ((found_place, found_line, message),) = mistakes(text)
    assert (found_place, found_line) == (place, line)
    assert words in message


@pytest.mark.parametrize("value", ["*hunter2", "!hunter2 x", "!hunter2!x", "&a *hunter2", "%hunter2", "@hunter2"])
def test_no_message_repeats_a_value(value: str) -> None:
    assert mistakes(f"password: {value}\n")
    assert "hunter2" not in str(parse(f"password: {value}\n"))


def test_every_mistake_that_has_a_place_is_found_at_once() -> None:
    found = mistakes("a: .nan\nb: “x”\na: 1\n")
    assert [place for place, _, _ in found] == ["a", "b", "a"]


def test_a_merged_key_may_be_overridden() -> None:
    text = "x-common: &c {task: a, beta: 0.1}\np: &p {task: b}\nq:\n  <<: [*c, *p]\n  task: mine\n"
    document = parse(text)
    assert not document.mistakes
    assert document.data == {"p": {"task": "b"}, "q": {"task": "mine", "beta": 0.1}}
    assert document.lines[("q", "task")] == 5


@pytest.mark.parametrize("key", ["on", "no", "~", "5", "1.5", "2020-01-01", "null", "0x1"])
def test_a_key_is_text_whatever_it_looks_like(key: str) -> None:
    assert parse(f"{key}: {{{key}: 1}}\n").data == {key: {key: 1}}


def test_a_merge_key_given_twice_merges_both() -> None:
    document = parse("a: &a {x: 1}\nb: &b {y: 2}\nc:\n  <<: *a\n  <<: *b\n  z: 3\n")
    assert not document.mistakes
    assert document.data["c"] == {"x": 1, "y": 2, "z": 3}


def test_aliases_of_aliases_are_counted_and_walked_once() -> None:
    rows = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    begun = time.thread_time()
    ((_, _, message),) = mistakes("\n".join(rows))
    assert "counting each use of an alias" in message
    assert time.thread_time() - begun < 30


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data() -> None:
    assert parse("\ufeffa: 1\r\nb: x\r\n".encode()).data == {"a": 1, "b": "x"}


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with path.open("wb") as file:
        file.truncate(50 * 2**20)
    begun = time.thread_time()
    with pytest.raises(ValueError, match=r"a\.yaml: larger than 512 KiB"):
        load(path)
    assert time.thread_time() - begun < 10
    assert parse("a" * MAX_BYTES + "a").mistakes


def test_an_error_of_a_file_is_a_line_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: .nan\nb: {c: “x”}\n")
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load(path)
    first, second = str(caught.value).splitlines()
    assert first == f"{path}:1: a: not a finite number; write one"
    assert second.startswith(f"{path}:2: b.c: begins with a typographic quote")
    with pytest.raises(ValueError, match="missing: No such file"):
        load(tmp_path / "missing")


CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff")
TEXTS = st.text(CHARACTERS, max_size=30)
NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = TEXTS | NUMBERS | st.none() | st.booleans()


@given(st.dictionaries(TEXTS.filter(lambda key: not key.startswith("x-")), SCALARS | st.lists(SCALARS, max_size=4)))
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read_back(data: dict[str, Any]) -> None:
    assert parse(dump(data)).data == data


@pytest.mark.parametrize(
    "text", ["1e3", "1e-6", "22:30", "08", "“x”", "1_0", "yes", "0o7", ".5", "<<", "2020-01-01", "~"]
)
def test_text_that_looks_like_something_else_is_written_with_quotes(text: str) -> None:
    assert parse(dump({"a": text, text: [text]})).data == {"a": text, text: [text]}
    # Other readers of YAML agree.
    assert yaml.safe_load(dump({"a": text})) == {"a": text}


@given(st.text(st.sampled_from("[]{}:,-?!&*#'\"|>%@`\n \tab01.eE+~<\ufeff“"), max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_is_data_or_a_mistake(text: str) -> None:
    document = parse(text)
    assert document.mistakes or isinstance(document.data, dict)
