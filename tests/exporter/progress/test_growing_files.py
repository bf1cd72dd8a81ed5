"""A tracker's file is known again, whatever happens to it: it is mirrored, made anew, replaced while it is read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.progress._growing_files import GrowingFile
from exporter.progress.readers import tensorboard, wandb
from exporter.progress.record import Reader, ReadError
from tests.exporter.progress.readers.test_tensorboard import event, frame, steps
from tests.exporter.progress.readers.test_wandb import history, write_log


def write_events(written: range) -> bytes:
    return b"".join(frame(event("loss", step, 0.5)) for step in written)


def write_run(written: range) -> bytes:
    return write_log(*(history(step=step, loss=0.5) for step in written))


Write = Callable[[range], bytes]
KINDS = pytest.mark.parametrize(
    ("make", "name", "write"),
    [
        (tensorboard.Reader, "events.out.tfevents.1", write_events),
        (wandb.Reader, "run-1.wandb", write_run),
    ],
    ids=["tensorboard", "wandb"],
)


def replace(path: Path, content: bytes) -> None:
    copied = path.with_name("copied")
    copied.write_bytes(content)
    copied.replace(path)


@KINDS
def test_a_file_that_is_mirrored_is_read_once(tmp_path: Path, make: type[Reader], name: str, write: Write) -> None:
    reader, found = make(tmp_path / name), []
    for end in range(1, 60, 7):
        replace(tmp_path / name, write(range(end)))
        found += steps(reader)
    assert found == list(range(57))


@KINDS
def test_a_longer_file_in_its_place_is_read_from_its_begin(
    tmp_path: Path, make: type[Reader], name: str, write: Write
) -> None:
    """Not even its number tells that it is another one."""
    path = tmp_path / name
    path.write_bytes(write(range(3)))
    reader = make(path)
    assert steps(reader) == [0, 1, 2]
    path.write_bytes(write(range(50, 60)))
    assert steps(reader) == list(range(50, 60))


def test_a_file_that_is_replaced_while_it_is_read_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first")
    growing = GrowingFile(path)
    with growing.opened() as file:
        replace(path, b"other, longer")
        assert file.read(2, 100) == b"rst"
        file.reach(5)
    with growing.opened() as file:
        assert (file.is_other, file.size) == (True, 13)


def test_what_is_no_run_of_wandb_is_told_each_time(tmp_path: Path) -> None:
    (tmp_path / "run-1.wandb").write_bytes(b"something else")
    reader = wandb.Reader(tmp_path)
    for _ in range(3):
        with pytest.raises(ReadError, match="not a run file of wandb"):
            reader.read(0.0)


def test_files_that_a_process_writes_in_turns_are_read_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"events.out.tfevents.1.box.77.{number}" for number in range(2 * tensorboard.MAX_FILES)]
    for path in paths:
        path.touch()
    reader, found = tensorboard.Reader(tmp_path), []
    for step in range(3 * len(paths)):
        path = paths[step % len(paths)]
        with path.open("ab") as file:
            file.write(frame(event("loss", step, 0.5)))
        os.utime(path, (2e9 + step, 2e9 + step))
        found += steps(reader)
    assert found == list(range(3 * len(paths)))
