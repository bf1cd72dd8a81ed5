"""What all settings share: frozen models that refuse unknown keys and show no value in their errors."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


def _check_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be shown")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_check_printable)]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
