"""docs/attach.md says of each trainer what attach and the readers do, and names every reader with its options."""

import re
import time
from pathlib import Path

import pytest

from exporter.progress.names import translate
from exporter.progress.readers import check_options, list_readers, make_reader
from fleet.attach.candidates import Candidate, find_candidates
from fleet.configuration.load import load_text
from tests.architecture import ROOT
from tests.fleet.attach.recorded_runs import PYTHON, RUNS, RecordedRun
from tests.fleet.attach.trees import process

MANUAL = (ROOT / "docs" / "attach.md").read_text()
HEAD = ("trainer", "started, for example", "kind", "readers", "its log tells", "its log does not tell")
# What an operator misses where it is not there.
WANTED = (
    *("step", "total_steps", "reward", "loss", "kl", "entropy", "grad_norm", "completion_length", "clipped_ratio"),
    *("zero_spread", "step_seconds"),
)


def rows(first: str) -> list[tuple[str, ...]]:
    """The rows of the manual's table whose head begins so, without the head."""
    tables = re.split(r"\n\n+", MANUAL)
    (table,) = (one for one in tables if one.startswith(f"| {first} |"))
    return [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in table.splitlines()[2:]]


def find(run: RecordedRun) -> Candidate:
    command = re.sub(r"^python\b", PYTHON, run.command)
    command = command if command.startswith(PYTHON) else f"{PYTHON} /home/ann/grpo/.venv/bin/{command}"
    trainer = process(10, 1, command, out="/home/ann/grpo/train.log", maps_torch=run.maps_torch)
    (candidate,) = find_candidates([trainer], lambda path: run.files.get(str(path), ""), lambda folder, since: [])
    return candidate


def read_names(run: RecordedRun, candidate: Candidate, folder: Path) -> set[str]:
    """What the reader that attach chose for the log reads in it."""
    (log,) = (reader for reader in candidate.readers if reader.name == "log")
    (folder / "train.log").write_text(run.log)
    records = make_reader("log", {**log.options, "path": "train.log"}, folder).read(time.time())
    names = {name for record in records for name in translate(record.values)}
    names |= {record.unit for record in records if record.step is not None}
    return names | {"total_steps" for record in records if record.total_steps is not None}


def quote(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.trainer)
def test_the_row_of_a_trainer_is_what_attach_and_its_readers_do(run: RecordedRun, tmp_path: Path) -> None:
    candidate = find(run)
    assert candidate.kind == run.kind
    names = read_names(run, candidate, tmp_path)
    told = [name for name in WANTED if name in names] + sorted(names - set(WANTED))
    missing = [name for name in WANTED if name not in names]
    readers = [reader.name for reader in candidate.readers]
    row = (run.trainer, f"`{run.command}`", f"`{run.kind}`", quote(readers), quote(told), quote(missing))
    assert row in rows(HEAD[0]), f"| {' | '.join(row)} |"


def test_no_row_is_without_a_run() -> None:
    assert [row[0] for row in rows(HEAD[0])] == [run.trainer for run in RUNS]


def test_every_reader_stands_there_with_all_its_options() -> None:
    table = {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in rows("reader")}
    assert sorted(table) == list_readers()
    for name, options in table.items():
        mistake = check_options(name, {"?": 1}, Path())
        assert mistake == f"{name}: ?: unknown option; the options are {', '.join(options)}"


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)
    loaded = load_text(f"fleet: m\n{example}", "peerwatch.yaml", tmp_path)
    assert loaded.lines() == []
    assert [peer.name for peer in loaded.peers] == ["night-run", "as-service", "mine"]


def test_the_example_of_a_pattern_is_one() -> None:
    (pattern,) = re.findall(r"`(step \(\?P<step>.*?)`", MANUAL)
    assert check_options("log", {"path": "a", "pattern": pattern}, Path()) is None
