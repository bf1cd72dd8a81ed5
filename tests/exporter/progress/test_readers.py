"""Readers are found by being there, and their options are checked without a look at what they name."""

import subprocess
import sys

import pytest

from exporter.progress.readers import check_options, list_readers, make_reader

OPTIONS = {
    "log": {"path": "run.log"},
    "jsonl": {"path": "metrics.jsonl"},
    "prometheus": {"url": "http://127.0.0.1:1/metrics"},
    "checkpoints": {"path": "outputs"},
}


def test_each_file_that_is_no_part_of_readers_is_a_reader():
    assert set(OPTIONS) <= set(list_readers())
    assert not {"record", "names", "model", "follower"} & set(list_readers())


@pytest.mark.parametrize("name", OPTIONS)
def test_a_reader_is_made_by_its_name(tmp_path, name):
    reader = make_reader(name, OPTIONS[name], tmp_path)
    assert reader.is_live == (name != "checkpoints")
    assert check_options(name, OPTIONS[name], tmp_path / "that" / "is" / "not" / "there") is None


def test_a_wrong_name_or_option_is_one_line(tmp_path):
    assert check_options("trl", {}, tmp_path).startswith("'trl' is no reader; the readers are checkpoints, ")
    assert check_options("log", {}, tmp_path) == "log: path: is missing; name it, such as train.log"
    with pytest.raises(ValueError, match="is no reader"):
        make_reader("record", {}, tmp_path)


def test_readers_load_nothing_heavy():
    code = (
        "import sys; from pathlib import Path; from exporter.progress.readers import make_reader\n"
        f"for name, options in {OPTIONS!r}.items(): make_reader(name, options, Path())\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(printed.stdout.split())
    assert loaded - sys.stdlib_module_names <= {"exporter", "__main__"} | {n for n in loaded if n.startswith("_")}
