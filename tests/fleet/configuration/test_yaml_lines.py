"""YAML with the line of each value."""

import pytest

from fleet.configuration.yaml_lines import Document, Problem, parse

TEXT = """\
fleet: amber

peers:
  - name: a
    grpo:
      learning_rate: 1.0e-3
  - name: b
"""


def test_every_key_and_entry_has_its_line() -> None:
    document = parse(TEXT)
    assert document.data["peers"][0]["grpo"] == {"learning_rate": 0.001}
    assert document.lines[("fleet",)] == 1
    assert document.lines[("peers", 0, "grpo", "learning_rate")] == 6
    assert document.lines[("peers", 1)] == 7


def test_a_missing_location_has_the_line_of_the_enclosing_one() -> None:
    document = parse(TEXT)
    assert document.line_of(Problem(("peers", 1, "trainer_port"), "")) == 7
    assert document.line_of(Problem(("nothing",), "")) == 1


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1, 2\n", 3, "expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", 2, "a tab; indent with blanks"),
        ("a: 1\nb: 2\na: 3\n", 3, "duplicate key, first in line 1"),
        ("x:\n  y: 1\n  y: 2\n", 3, "duplicate key"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "a tag, which is not allowed here"),
        ("- a\n- b\n", 1, "not a mapping; write `key: value` lines"),
        ("a: 1\n---\nb: 2\n", 2, "single document"),
        ("a: 1\nb: \x07\n", 2, "character"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("a: 2024-13-45\n", 1, "not valid YAML"),
        ("{" * 3000, 1, "nested more than 50 levels deep"),
    ],
)
def test_anything_but_plain_yaml_is_one_problem_with_its_line(text: str, line: int, words: str) -> None:
    document = parse(text)
    assert [document.line_of(problem) for problem in document.problems] == [line]
    assert words in document.problems[0].message


def test_an_empty_text_is_an_empty_configuration() -> None:
    assert parse("# nothing but a comment\n") == Document({})
