"""Validates one section of the file with its pydantic model, and describes the mistakes."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fleet.configuration.yaml_lines import Location

Model = TypeVar("Model", bound=BaseModel)

# Values below these keys can hold a password, so no message shows them.
_SECRET_KEYS = frozenset({"routes", "deadman", "login", "url", "announce"})


class Mistake(NamedTuple):
    """A mistake at a location relative to its section."""

    location: Location
    message: str


def validate(model: type[Model], data: Mapping[str, Any], *, top: Iterable[str] | None = None) -> Model | list[Mistake]:
    """The model, or every mistake in `data`; `top` are the top-level keys to suggest if not the model's."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        known = keys_of(model) if top is None else set(top)
        return [_mistake(model, data, details, known) for details in error.errors(include_url=False)]


def suggest(word: object, known: Iterable[str]) -> str:
    """`; did you mean …?` for the nearest known word, or the whole list if it is short."""
    words = sorted(known)
    near = difflib.get_close_matches(str(word), words, n=1, cutoff=0.6)
    near = near or [one for one in words if str(word) and one.startswith(f"{word}_")]
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known: {', '.join(words)}" if 0 < len(words) <= 12 else ""


def keys_of(model: type[BaseModel], location: Location = ()) -> set[str]:
    """The keys that the model accepts at a location; none where it has no model."""
    found: type[BaseModel] | None = model
    for part in location:
        if found is None:
            return set()
        if isinstance(part, str):
            field = _fields(found).get(part)
            found = next(_models_in(field), None) if field is not None else None
    return set(_fields(found)) if found is not None else set()


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _mistake(model: type[BaseModel], data: Any, details: ErrorDetails, top: set[str]) -> Mistake:
    location = _in_data(details["loc"], data)
    kind = details["type"]
    if kind == "extra_forbidden":
        known = keys_of(model, location[:-1]) if len(location) > 1 else top
        return Mistake(location, f"unknown key{suggest(location[-1], known)}")
    if kind == "missing":
        return Mistake(location, "missing")
    message = details["msg"].removeprefix("Value error, ")
    if kind != "value_error" and not _SECRET_KEYS.intersection(location) and _is_short(details["input"]):
        message = message.removeprefix("Input ")
        expected = message if kind in ("literal_error", "enum") else message.partition(",")[0]
        message = f"{expected}, not {details['input']!r}"
    return Mistake(location, message)


def _is_short(value: object) -> bool:
    return value is None or (isinstance(value, str | int | float) and len(str(value)) <= 60)


def _in_data(location: Location, data: Any) -> Location:
    """The location without the parts that pydantic adds for the branch of a union."""
    kept: list[str | int] = []
    for index, part in enumerate(location):
        is_key = isinstance(data, dict) and part in data
        is_index = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if is_key and _is_branch(location[index + 1 :], data, data[part]):
            continue
        if is_key or is_index:
            kept.append(part)
            data = data[part]
        elif isinstance(data, dict) and index == len(location) - 1:
            kept.append(part)
    return tuple(kept)


def _is_branch(rest: Location, data: Mapping[Any, Any], value: object) -> bool:
    """Whether a part of a location is a union's branch, although the data has a key of that name."""
    return bool(rest) and rest[0] in data and not (isinstance(value, Mapping) and rest[0] in value)
