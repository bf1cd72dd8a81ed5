"""What the models of all configuration files have in common; no part of the sidecar, which goes without pydantic."""

from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator


class FileModel(BaseModel):
    """Frozen, without unknown keys, with finite numbers only; a section without content (`trainer:`) is its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections_are_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict) or None not in data.values():
            return data
        empty = {
            field.alias or name
            for name, field in cls.model_fields.items()
            if not field.is_required() and _is_section(field.annotation)
        }
        return {key: value for key, value in data.items() if value is not None or key not in empty}


def _is_section(annotation: Any) -> bool:
    """Whether a field holds a mapping or a list, and never null."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (dict, list, tuple) or (isinstance(annotation, type) and issubclass(annotation, BaseModel | dict)):
        return True
    return type(None) not in arguments and any(map(_is_section, arguments))
