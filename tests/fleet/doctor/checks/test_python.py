"""A missing, an old and a translated interpreter are named."""

from collections.abc import Callable

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages

MakePython = Callable[[str], str]


def test_the_interpreter_of_these_tests_is_ok(examine: Examine) -> None:
    assert [one.level for one in examine("python")] == [Level.OK]


def test_an_old_interpreter_is_a_failure(examine: Examine, make_python: MakePython) -> None:
    python = make_python("""echo '{"version": [3, 9, 6], "machine": "arm64", "translated": 0}'""")
    assert "Python 3.9.6 is too old" in messages(examine("python", python=python), Level.FAILURE)


def test_a_translated_interpreter_is_a_failure(examine: Examine, make_python: MakePython) -> None:
    python = make_python("""echo '{"version": [3, 12, 1], "machine": "x86_64", "translated": 1}'""")
    assert "built for Intel" in messages(examine("python", python=python), Level.FAILURE)


def test_an_interpreter_that_is_gone_is_a_failure(examine: Examine) -> None:
    found = messages(examine("python", python="/nonexistent/python"), Level.FAILURE)
    assert "/nonexistent/python does not run" in found
