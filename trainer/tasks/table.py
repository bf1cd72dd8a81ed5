"""Tasks of any dataset with a question and an answer in columns: of the Hugging Face hub, or in files.

`openai/gsm8k` needs no options: behind `####`, its answers end with the number that counts.
"""

from pathlib import Path
from typing import Any

from trainer.tasks.task import Entry, score_by_answer

OPTIONS = ("config", "split", "prompt_column", "answer_column")
PROMPTS = ("question", "prompt", "problem", "instruction", "input")
ANSWERS = ("answer", "solution", "target", "output", "response")
_KNOWN = {"openai/gsm8k": {"config": "main"}}
_FINAL = "####"
FILES = {".json": "json", ".jsonl": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}


class TableSource:
    """The rows of one split."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        """Raises ValueError with one line for the user."""
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise ValueError(f"task_options: {unknown[0]} is unknown; known for a dataset: {', '.join(OPTIONS)}")
        options = {**_KNOWN.get(name, {}), **options}
        self._rows = _load(name, options)
        columns = list(self._rows.column_names)
        self._question = _column(name, columns, options.get("prompt_column"), PROMPTS, "prompt_column")
        self._answer = _column(name, columns, options.get("answer_column"), ANSWERS, "answer_column")
        if not len(self._rows):
            raise ValueError(f"task: {name} has no rows")

    def entry(self, number: int) -> Entry:
        row = self._rows[number % len(self._rows)]
        return {"question": text_of_prompt(row[self._question]), "answer": final_answer(str(row[self._answer]))}

    def score(self, entry: Entry, answer: str) -> float:
        return score_by_answer(str(entry["answer"]), answer)


def final_answer(text: str) -> str:
    """The part of a worked solution that counts: what stands behind its last `####`, or all of it."""
    return text.rpartition(_FINAL)[2].strip()


def text_of_prompt(value: Any) -> str:
    """A prompt as text: itself, or of chat messages what the user says last."""
    if isinstance(value, list):
        said = [str(one.get("content") or "") for one in value if isinstance(one, dict) and one.get("role") == "user"]
        return said[-1] if said else ""
    return str(value)


def _load(name: str, options: dict[str, Any]) -> Any:
    import datasets

    split = str(options.get("split", "train"))
    try:
        path = Path(name).expanduser()
        suffix = path.suffix.lower()
        if suffix in FILES and path.is_file():
            separator = {"sep": "\t"} if suffix == ".tsv" else {}
            return datasets.load_dataset(FILES[suffix], data_files={split: str(path)}, split=split, **separator)
        return datasets.load_dataset(str(path) if path.exists() else name, options.get("config"), split=split)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"task: the dataset {name} cannot be loaded: {reason}") from error


def find_column(columns: list[str], wanted: Any, usual: tuple[str, ...]) -> str | None:
    """The column of the wanted name, or the first of the usual ones."""
    return next((one for one in (usual if wanted is None else [wanted]) if one in columns), None)


def _column(name: str, columns: list[str], wanted: Any, usual: tuple[str, ...], option: str) -> str:
    found = find_column(columns, wanted, usual)
    if found is None:
        raise ValueError(f"task_options.{option}: {name} has the columns {', '.join(columns)}; name one of them")
    return found
