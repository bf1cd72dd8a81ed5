"""Which file a trainer's log is, and what is shown of its end."""

import json
import os
from pathlib import Path

import pytest

from alerts.evidence.gather import gather
from alerts.evidence.trainer_log import describe_log
from tests.programs import go_without


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """The folder of a trainer that somebody else starts."""
    folder = tmp_path / "their folder"
    folder.mkdir()
    return folder


def _watch(run_dir: Path, folder: Path, *paths: str) -> None:
    readers: list[object] = [{"checkpoints": {"path": "out"}}, *({"log": {"path": path}} for path in paths)]
    (run_dir / "watch.json").write_text(json.dumps({"folder": str(folder), "find": {}, "progress": readers}))


def _write(path: Path, text: str, at: float = 0.0) -> Path:
    path.write_text(text)
    if at:
        os.utime(path, (at, at))
    return path


def test_it_is_where_the_peers_reader_reads_it(run_dir: Path, theirs: Path) -> None:
    log = _write(theirs / "train.log", "a\nb\n")
    _watch(run_dir, theirs, "train.log")
    head, *lines = describe_log(run_dir)
    assert head.endswith("/their folder/train.log ends:")
    assert head.removeprefix("…").removesuffix(" ends:") in str(log)
    assert len(head) < 100
    assert lines == ["| a", "| b"]
    _watch(run_dir, theirs, str(log))
    assert describe_log(run_dir)[1:] == ["| a", "| b"]


def test_of_several_the_one_that_was_written_last_counts(run_dir: Path, theirs: Path) -> None:
    _write(run_dir / "trainer.log", "of an earlier kind of peer\n", at=1e9)
    _write(theirs / "run-1.log", "one\n", at=1.1e9)
    _write(theirs / "run-2.log", "two\n", at=1.2e9)
    _watch(run_dir, theirs, "run-*.log")
    assert describe_log(run_dir)[1:] == ["| two"]
    _write(run_dir / "trainer.log", "traceback\n", at=1.3e9)
    assert describe_log(run_dir) == ["trainer.log ends:", "| traceback"]


def test_of_a_line_that_is_drawn_again_the_last_drawing_is_shown(run_dir: Path) -> None:
    bars = "".join(f"\r {step}%|#  | {step}/100 [00:01<00:20]" for step in range(1, 60))
    _write(run_dir / "trainer.log", f"loading\r\n{bars}Traceback:\n{bars}\r\n")
    assert [line.strip("| ") for line in describe_log(run_dir)[1:]] == [
        "loading",
        "59%|#  | 59/100 [00:01<00:20]Traceback:",
        "59%|#  | 59/100 [00:01<00:20]",
    ]


def test_a_link_of_this_user_is_followed(run_dir: Path, theirs: Path) -> None:
    _write(theirs / "run-7.log", "seven\n")
    (theirs / "latest.log").symlink_to("run-7.log")
    _watch(run_dir, theirs, "latest.log")
    assert describe_log(run_dir)[1:] == ["| seven"]
    # In the run folder nobody has a reason to make one.
    (run_dir / "watch.json").unlink()
    (run_dir / "trainer.log").symlink_to(theirs / "run-7.log")
    assert describe_log(run_dir) == []


def test_a_link_by_which_another_user_leads_to_a_file_of_this_one_is_not_followed(run_dir: Path, theirs: Path) -> None:
    _write(theirs / "secret", "mine\n")
    link = theirs / "train.log"
    link.symlink_to("secret")
    _watch(run_dir, theirs, "train.log")
    try:
        os.lchown(link, 65534, 65534)
    except OSError:
        go_without("needs root, to make a link of another user")
    assert describe_log(run_dir) == []
    os.chown(theirs / "secret", 65534, 65534)
    assert describe_log(run_dir)[1:] == ["| mine"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"folder": 7, "progress": 3}',
        '{"folder": "/", "progress": [{"log": 1}]}',
        '{"folder": "/", "progress": [{"log": {"path": "**/*"}}, {"log": {"path": "a\\u0000b"}}]}',
        '{"folder": "/", "progress": [' + '{"log": {"path": "nowhere"}},' * 3000 + "{}]}",
    ],
)
def test_a_file_that_no_fleet_wrote_is_no_log(run_dir: Path, content: str) -> None:
    (run_dir / "watch.json").write_text(content)
    assert gather(("cause", "log"), run_dir) == ""


def test_a_pipe_is_no_log(run_dir: Path, theirs: Path) -> None:
    os.mkfifo(theirs / "train.log")
    _watch(run_dir, theirs, "train.log", "gone.log", ".")
    assert gather(("cause", "log"), run_dir) == ""


def test_a_huge_log_is_not_read_whole(run_dir: Path, theirs: Path) -> None:
    with (theirs / "train.log").open("wb") as log:
        log.truncate(10 << 30)
        log.seek(0, os.SEEK_END)
        log.write(b"\nRuntimeError: CUDA out of memory. Tried to allocate 2 GiB\n")
    _watch(run_dir, theirs, "train.log")
    assert "Known problem: a step needed more memory than there is." in gather(("cause",), run_dir)
