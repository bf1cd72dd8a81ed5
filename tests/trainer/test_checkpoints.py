"""Only whole checkpoints are gone on from."""

import logging
from pathlib import Path

import pytest

from trainer.checkpoints import OtherModel, last_good, seal


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

    assert last_good(tmp_path, "tiny") == newest


def test_a_half_written_one_is_skipped_with_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = make_checkpoint(tmp_path, 10)
    half = make_checkpoint(tmp_path, 20, model=None)

    with caplog.at_level(logging.WARNING):
        assert last_good(tmp_path, "tiny") == whole

    assert [record.getMessage() for record in caplog.records] == [
        "checkpoint-20 is broken (not saved to its end): removed, trying the one before it"
    ]
    assert not half.exists()


def test_a_cut_off_file_breaks_a_checkpoint(tmp_path: Path) -> None:
    whole = make_checkpoint(tmp_path, 10)
    weights = make_checkpoint(tmp_path, 20) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])

    assert last_good(tmp_path, "tiny") == whole


@pytest.mark.parametrize("content", [b"", b"[]", b'{"files": 1}', b"\xff"])
def test_an_unreadable_seal_breaks_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    (make_checkpoint(tmp_path, 10) / "complete.json").write_bytes(content)

    assert last_good(tmp_path, "tiny") is None


def test_no_folder_means_no_checkpoint(tmp_path: Path) -> None:
    assert last_good(tmp_path / "none", "tiny") is None


def test_another_models_checkpoint_is_neither_used_nor_removed(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, 10, model="some/model")

    with pytest.raises(OtherModel, match="some/model"):
        last_good(tmp_path, "tiny")

    assert checkpoint.exists()
