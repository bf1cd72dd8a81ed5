"""Only complete checkpoints are resumed from."""

import logging
from pathlib import Path

import pytest

from trainer.checkpoints import ModelMismatch, find_latest, seal


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
