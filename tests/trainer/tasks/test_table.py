"""Any dataset with a question and an answer in columns is a task."""

import contextlib
import gc
import json
from pathlib import Path
from typing import Any

import pytest

from tests.lazy import lazily
from trainer.config import TrainerConfig
from trainer.tasks.table_file import find_table_mistake
from trainer.tasks.task import score_by_answer

data = lazily("trainer.data")
table = lazily("trainer.tasks.table")


def write(folder: Path, rows: list[dict[str, Any]], name: str = "sums.jsonl") -> str:
    path = folder / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


def load(task: str, **options: Any) -> Any:
    return data.load_task(TrainerConfig(name="a", run_dir=Path("/tmp/a"), task=task, task_options=options))


def test_rows_of_the_form_of_gsm8k_are_judged_by_the_number_behind_the_mark(tmp_path: Path) -> None:
    path = write(tmp_path, [{"question": "6 x 7?", "answer": "6 x 7 = <<6*7=42>>42\n#### 42"}])
    task = load(path)
    entry = task.entry(3)

    assert (entry["question"], entry["answer"]) == ("6 x 7?", "42")
    assert [task.judge(entry, answer) for answer in ("42", "it is 42.0", "24", "")] == [1.0, 1.0, 0.0, 0.0]


def test_the_columns_can_be_named_and_prompts_be_messages(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "be short"}, {"role": "user", "content": "Capital of France?"}]
    path = write(tmp_path, [{"ask": chat, "gold": "Paris", "id": 1}])

    entry = load(path, prompt_column="ask", answer_column="gold").entry(0)

    assert entry == {"question": "Capital of France?", "answer": "Paris"}


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"text": "a"}], {}, "task_options.prompt_column: .* has the columns text; name one of them"),
        ([{"question": "a", "answer": "b"}], {"answer_column": "gold"}, "has the columns question, answer"),
        ([{"question": "a", "answer": "b"}], {"colum": "x"}, "task_options: colum is unknown"),
        ([{"question": "a", "answer": "b"}], {"split": "train[:0]"}, "cannot be loaded|has no rows"),
        ([], {}, "cannot be loaded|has no rows"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, rows: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load(write(tmp_path, rows), **options)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("right", "answer", "score"),
    [
        ("Paris", " paris\n", 1.0),
        ("Paris", "Rome", 0.0),
        ("1,000", "that makes 1000", 1.0),
        ("-5", "5", 0.0),
        ("3 apples", "3", 0.0),
        ("42", "42 or 43", 0.0),
    ],
)
def test_an_answer_is_compared_as_text_or_as_a_number(right: str, answer: str, score: float) -> None:
    assert score_by_answer(right, answer) == score


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_every_dataset_of_reasoning_gym_is_a_task_and_judges_any_text() -> None:
    gym = lazily("trainer.tasks.gym")
    broken = []
    for name in gym.names():
        # Made of other datasets, which its options have to name.
        if name == "composite":
            continue
        task = load(name, size=3)
        entry = task.entry(4)
        if not str(entry["question"]) or not 0.0 <= task.judge(entry, "no answer \x00 <|im_end|>") <= 1.0:
            broken.append(name)
    # The files that a dataset leaves open are closed here, where their warnings are expected.
    gc.collect()
    assert broken == []


ROW = '{"question": "1+1?", "answer": "2"}\n'
# A file's name, its text, the options, and what `check` says of it: the same as the loaded dataset does.
FILES: list[tuple[str, str, dict[str, Any], str | None]] = [
    ("a.jsonl", ROW, {}, None),
    ("a.JSONL", ROW, {"config": "main", "split": "test"}, None),
    ("a.jsonl", f"\ufeff{ROW}", {}, None),
    ("a.jsonl", f"\n\n{ROW}", {}, None),
    ("a.jsonl", f"[{ROW.strip()}]", {}, None),
    ("a.jsonl", f"[\n{ROW.strip()},\n{ROW.strip()}\n]", {}, None),
    ("a.jsonl", '{"question": "x"}\n' + ROW, {}, None),
    ("a.json", '[\n {"question": "x",\n "answer": "2"}\n]', {}, None),
    ("a.json", ROW * 2, {}, None),
    ("a.json", '{"q": "1", "a": "2"}\n', {"prompt_column": "q", "answer_column": "a"}, None),
    ("a.csv", "\ufeffquestion,answer\n1,2\n", {}, None),
    ("a.csv", '\n"question","answer"\n"a\nb",2\n', {}, None),
    ("a.tsv", "question\tanswer\n1,1\t2\n", {}, None),
    ("a.jsonl", '{"Question": "1", "answer": "2"}\n', {}, "has the columns Question, answer; name one of them in"),
    ("a.jsonl", ROW, {"answer_column": "gold"}, "task_options.answer_column"),
    ("a.jsonl", ROW, {"prompt_column": 5}, "task_options.prompt_column"),
    ("a.jsonl", ROW, {"split": "train[:1]"}, "the split of a file should be a word"),
    ("a.jsonl", ROW * 3 + '{"question\n', {}, "a.jsonl:4: is no JSON object"),
    ("a.json", "[]", {}, "is empty"),
    ("a.json", '{"question"', {}, "a.json:1: is no JSON object"),
    ("a.json", f'{{"data": [{ROW.strip()}]}}', {}, "has the columns data"),
    ("a.csv", "question;answer\n1;2\n", {}, "has the columns question;answer"),
    ("a.csv", "question,answer\n", {}, "has a header only"),
    ("a.parquet", "PAR2", {}, "is no Parquet file"),
    *((name, ROW, {}, "has none of the endings .json, .jsonl") for name in ("a.txt", "a.jsonl.gz", "a")),
]


@pytest.mark.parametrize(("name", "text", "options", "words"), FILES)
def test_what_check_says_of_a_file_is_what_ends_a_trainer(
    tmp_path: Path, name: str, text: str, options: dict[str, Any], words: str | None
) -> None:
    path = tmp_path / name
    path.write_text(text)
    mistake = find_table_mistake(path, options)
    assert (words in mistake) if words and mistake else mistake == words
    with contextlib.nullcontext() if words is None else pytest.raises(ValueError, match=r"^task"):
        load(str(path), **options).entry(0)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_of_a_large_file_only_what_is_read_is_judged(tmp_path: Path, name: str) -> None:
    rows = {
        "a.json": "[\n" + "\n" * 2_000_000,
        "a.jsonl": ROW * 40_000 + "{",
        "a.csv": "question,answer\n" + "1,2\n" * 400_000,
    }
    (tmp_path / name).write_text(rows[name])
    assert find_table_mistake(tmp_path / name, {}) is None
