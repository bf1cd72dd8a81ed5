"""Only complete checkpoints are resumed from."""

import logging
from pathlib import Path

import pytest

from trainer.checkpoints import ModelMismatch, bytes_to_save, find_latest, read_progress, rotate, seal, unseal


def make_checkpoint(folder: Path, step: int, *, model: str | None = "tiny") -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights" * step)
    if model:
        seal(checkpoint, model)
    return checkpoint


def test_the_newest_by_number_is_taken(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 9)
    newest = make_checkpoint(tmp_path, 10)
    (tmp_path / "README.md").write_text("")

    assert find_latest(tmp_path, "tiny") == newest


def test_an_incomplete_checkpoint_is_skipped_with_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    complete = make_checkpoint(tmp_path, 10)
    incomplete = make_checkpoint(tmp_path, 20, model=None)

    with caplog.at_level(logging.WARNING):
        assert find_latest(tmp_path, "tiny") == complete

    assert [record.getMessage() for record in caplog.records] == [
        "checkpoint-20 is damaged (incomplete save): removed, trying the previous one"
    ]
    assert not incomplete.exists()


def test_a_truncated_file_invalidates_a_checkpoint(tmp_path: Path) -> None:
    complete = make_checkpoint(tmp_path, 10)
    weights = make_checkpoint(tmp_path, 20) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])

    assert find_latest(tmp_path, "tiny") == complete


def test_a_file_that_was_written_over_in_the_same_size_invalidates_a_checkpoint(tmp_path: Path) -> None:
    complete = make_checkpoint(tmp_path, 10)
    weights = make_checkpoint(tmp_path, 20) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")

    assert find_latest(tmp_path, "tiny") == complete


def test_a_checkpoint_that_is_written_over_is_not_complete_meanwhile(tmp_path: Path) -> None:
    earlier, checkpoint = make_checkpoint(tmp_path, 10), make_checkpoint(tmp_path, 20)

    unseal(checkpoint)

    assert find_latest(tmp_path, "tiny") == earlier


def test_a_seal_of_an_earlier_version_counts_by_sizes(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, 10, model=None)
    (checkpoint / "complete.json").write_text('{"model": "tiny", "files": {"model.safetensors": 70}}')

    assert find_latest(tmp_path, "tiny") == checkpoint
    assert read_progress(checkpoint) is None


def test_a_checkpoint_holds_the_progress_that_goes_with_its_weights(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, 10)
    seal(checkpoint, "tiny", {"finished_round": 3})

    assert read_progress(checkpoint) == {"finished_round": 3}


def test_the_newest_complete_checkpoints_stay(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40):
        make_checkpoint(tmp_path, step, model=None if step == 40 else "tiny")

    rotate(tmp_path, 2)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-20", "checkpoint-30", "checkpoint-40"]
    assert bytes_to_save(tmp_path) == 30 * len(b"weights")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"files": 1}', b"\xff"])
def test_an_unreadable_seal_invalidates_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    (make_checkpoint(tmp_path, 10) / "complete.json").write_bytes(content)

    assert find_latest(tmp_path, "tiny") is None


def test_no_folder_means_no_checkpoint(tmp_path: Path) -> None:
    assert find_latest(tmp_path / "none", "tiny") is None


def test_another_models_checkpoint_is_neither_used_nor_removed(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, 10, model="some/model")

    with pytest.raises(ModelMismatch, match="some/model"):
        find_latest(tmp_path, "tiny")

    assert checkpoint.exists()
