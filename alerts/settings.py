"""The base of all settings: frozen models that reject unknown keys and show no values in errors."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, StringConstraints

from exporter.files.file_model import FileModel


def _check_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has unprintable characters; remove them")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_check_printable)]


class Settings(FileModel):
    model_config = ConfigDict(hide_input_in_errors=True)
