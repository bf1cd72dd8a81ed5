"""What the models of all configuration files have in common."""

import pytest
from pydantic import Field, ValidationError

from exporter.files.file_model import FileModel


class Inner(FileModel):
    number: float = 1.0


class Outer(FileModel):
    name: str = "a"
    inner: Inner = Inner()
    perhaps: Inner | None = Inner(number=2.0)
    rows: list[int] = Field(default_factory=lambda: [1])
    table: dict[str, Inner] = Field(default_factory=dict)


def test_an_empty_section_is_its_default() -> None:
    assert Outer.model_validate({"inner": None, "rows": None, "table": None}) == Outer()


def test_null_stays_null_where_it_means_something() -> None:
    assert Outer.model_validate({"perhaps": None}).perhaps is None
    with pytest.raises(ValidationError):
        Outer.model_validate({"name": None})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", "inf", "1e999"])
def test_a_number_is_finite(value: object) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Inner.model_validate({"number": value})
