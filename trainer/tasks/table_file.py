"""What keeps a file or folder from being read as questions and answers, told without loading datasets."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter.files.named_file import open_named
from trainer.grpo_settings.fields import dataset_suffixes
from trainer.tasks.table import ANSWERS, FILES, PROMPTS, find_column

_MOST_BYTES = 1 << 20


class _Unusable(Exception):
    """The file is of no use; the message is for the user."""


def find_table_mistake(path: Path, options: Mapping[str, Any]) -> str | None:
    """What is wrong with a task's file, in one line; `options` are those of the task."""
    try:
        if path.is_dir():
            return _find_folder_mistake(path)
        return _find_file_mistake(path, options)
    except _Unusable as error:
        return str(error)
    except OSError as error:
        return f"cannot read {path}: {error.strerror}; name a file or a dataset of the hub"


def _find_folder_mistake(path: Path) -> str | None:
    kinds = dataset_suffixes()
    if kinds and not any(kinds.intersection(map(str.lower, one.suffixes)) for one in path.rglob("*")):
        return f"{path} has no file of questions and answers, such as data.jsonl; name another"
    return None


def _find_file_mistake(path: Path, options: Mapping[str, Any]) -> str | None:
    with open_named(path) as file:
        start = file.read(_MOST_BYTES + 1)
    kind = FILES.get(path.suffix.lower())
    if kind is None:
        return f"{path} has none of the endings {', '.join(FILES)}; convert it, or name another"
    if not start.strip():
        return f"{path} is empty; write questions and answers into it"
    if kind == "parquet":
        return None if start.startswith(b"PAR1") else f"{path} is no Parquet file; name another"
    split = str(options.get("split", "train"))
    if not re.fullmatch(r"\w+(\.\w+)*", split):
        return f"the split of a file should be a word such as train, not {split[:60]!r}"
    is_whole, text = len(start) <= _MOST_BYTES, start.decode("utf-8-sig", errors="replace")
    columns = _read_header(path, text, is_whole) if kind == "csv" else _read_keys(path, text, is_whole)
    for option, usual in (("prompt_column", PROMPTS), ("answer_column", ANSWERS)):
        if columns and find_column(columns, options.get(option), usual) is None:
            shown = ", ".join(columns)[:200]
            return f"{path} has the columns {shown}; name one of them in task_options.{option}"
    return None


def _read_header(path: Path, text: str, is_whole: bool) -> list[str]:
    rows = (
        row
        for row in csv.reader(text.splitlines(True), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        if row
    )
    try:
        columns, first = next(rows, []), next(rows, None)
    except csv.Error:
        return []
    if first is None and is_whole:
        raise _Unusable(f"{path} has a header only; write questions and answers into it")
    return columns


def _read_keys(path: Path, text: str, is_whole: bool) -> list[str]:
    """The keys of a file's objects; none where they are not known."""
    try:
        values = [json.loads(text, strict=False)] if is_whole else []
    except (ValueError, RecursionError):
        values = []
    # An array, or an object, may stretch over lines.
    if not values and not is_whole and (path.suffix.lower() == ".json" or text.lstrip().startswith("[")):
        return []
    values = values or list(_read_lines(path, text if is_whole else text.rpartition("\n")[0]))
    rows = [row for value in values for row in (value if isinstance(value, list) else [value])]
    if is_whole and not rows:
        raise _Unusable(f"{path} is empty; write questions and answers into it")
    return list(dict.fromkeys(key for row in rows for key in row)) if all(isinstance(row, dict) for row in rows) else []


def _read_lines(path: Path, text: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), 1):
        try:
            value = json.loads(line, strict=False) if line.strip() else []
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict | list):
            wanted = 'write {"question": …, "answer": …} on each line'
            raise _Unusable(f"{path}:{number}: is no JSON object; {wanted}")
        yield value
