"""Run files of wandb: what a call logs, messages across blocks, what is broken or half written, a new run."""

import json
import os
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.progress._tracked_runs import Calls
from exporter.progress.readers.wandb import BLOCK_BYTES, MAX_BYTES, Messages, Reader, read_configuration, read_history
from exporter.progress.record import ReadError
from exporter.progress.run_settings import clean_settings
from tests.exporter.progress.readers.test_tensorboard import part, varint

HEADER = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)


def item(name: str | tuple[str, ...], value: object) -> bytes:
    names = part(1, name.encode()) if isinstance(name, str) else b"".join(part(2, one.encode()) for one in name)
    return part(1, names + part(16, json.dumps(value).encode()))


def history(step: int | None = None, **values: object) -> bytes:
    items = b"".join(item(name, value) for name, value in values.items())
    return part(2, items + (part(2, b"\x08" + varint(step)) if step is not None else b""))


def configuration(**values: object) -> bytes:
    return part(5, b"".join(item(name, value) for name, value in values.items()))


def write_log(*messages: bytes, begin: bytes = HEADER) -> bytes:
    """As LevelDB lays out messages: in blocks, and in pieces where a message crosses the end of one."""
    out = bytearray(begin)
    for message in messages:
        left, is_first = message, True
        while is_first or left:
            room = BLOCK_BYTES - len(out) % BLOCK_BYTES
            if room < 7:
                out += bytes(room)
                continue
            piece, left = left[: room - 7], left[room - 7 :]
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[is_first, not left]
            out += struct.pack("<IHB", zlib.crc32(bytes((kind,)) + piece), len(piece), kind) + piece
            is_first = False
    return bytes(out)


def test_numbers_of_a_call_are_read_with_its_step_and_time() -> None:
    nested = item(("train", "loss"), 0.5) + item("note", "x" * 100) + item("_runtime", 3.0)
    message = part(2, nested + item("reward", "NaN") + item("_timestamp", 1.7e9) + part(2, b"\x08\x07"))
    record = read_history(message, Calls())
    assert record is not None
    assert (record.step, record.at, record.values["train.loss"]) == (7, 1.7e9, 0.5)
    assert str(record.values["reward"]) == "nan"
    assert record.values.keys() == {"train.loss", "reward"}


def test_typed_numbers_of_newer_versions_are_read() -> None:
    double = part(1, part(1, b"loss") + b"\x31" + struct.pack("<d", 0.25))
    integer = part(1, part(1, b"tokens") + b"\x28" + varint(2 * 5))
    record = read_history(part(2, double + integer), Calls())
    assert record is not None
    assert record.values == {"loss": 0.25, "tokens": 5.0}


def test_the_step_is_the_trainers_own_where_it_is_logged() -> None:
    calls = Calls()
    assert read_history(history(step=40, loss=1.0, **{"train/global_step": 5}), calls).step == 5
    # What is logged besides counts as a call of wandb, not as a step.
    assert read_history(history(step=41, memory=1.0), calls).step is None
    assert read_history(history(step=41, loss=1.0), Calls()).step == 41
    assert read_history(history(step=42, **{"eval/loss": 1.0}), calls) is None


def test_other_messages_are_no_records() -> None:
    run = part(17, part(1, b"run"))
    assert [read_history(message, Calls()) for message in (run, b"", b"\x0b", part(2, b""), part(2, b"\xff"))] == [
        None
    ] * 5


def test_messages_that_cross_blocks_are_put_together() -> None:
    messages = [bytes((number,)) * size for number, size in enumerate((5, 40_000, 32_750, 3, 0, 100_000, 8))]
    content = write_log(*messages)
    log = Messages(0)
    assert log.take(content) == messages
    assert log.place == len(content)


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_it_does_not_matter_in_which_pieces_a_log_comes(sizes: list[int]) -> None:
    messages = [bytes((number,)) * 3000 for number in range(20)]
    content = write_log(*messages)
    log, found, end = Messages(0), [], 0
    for size in [*sizes, len(content)]:
        end += size
        found += log.take(content[log.place : end])
    assert found == messages


def test_a_broken_byte_costs_its_block_only() -> None:
    messages = [bytes((number,)) * 3000 for number in range(40)]
    content = bytearray(write_log(*messages))
    content[BLOCK_BYTES + 5000] ^= 1
    found = Messages(0).take(bytes(content))
    # What ends or begins in the block is lost with it.
    assert found == [*messages[:10], *messages[22:]] or 27 <= len(found) < 40
    assert found[-1] == messages[-1]


def test_of_a_large_file_the_end_is_read(tmp_path: Path) -> None:
    file = tmp_path / "run-1.wandb"
    file.write_bytes(write_log(*(history(step=step, loss=0.5, x="y" * 500) for step in range(6000))))
    assert file.stat().st_size > 2 * MAX_BYTES
    found = [record.step for record in Reader(file).read(0.0)]
    assert found == list(range(6000 - len(found), 6000))
    assert 1000 < len(found) < 3000


# As transformers' callback writes it, for a model with an adapter.
CONFIGURATION = configuration(
    learning_rate=5e-07,
    beta=0.001,
    num_generations=8,
    max_completion_length=None,
    bf16=True,
    torch_dtype="float32",
    transformers_version="4.57.1",
    peft_config={"default": {"r": 16, "lora_alpha": 32, "target_modules": ["q_proj", "k_proj", "v_proj"]}},
    hub_token="hf_secret",
    accelerator_config={"learning_rate": 9},
)


def test_what_a_run_was_set_up_with_is_read_from_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "run-a.wandb"
    path.write_bytes(write_log(CONFIGURATION, history(1, loss=0.5)))
    reader = Reader(tmp_path)
    assert reader.settings == {}
    assert len(reader.read(1.0)) == 1
    assert clean_settings(reader.settings) == {
        "learning_rate": "5e-07",
        "beta": "0.001",
        "num_generations": "8",
        "dtype": "float32, computing in bfloat16",
        "transformers": "4.57.1",
        "lora": "yes",
    }
    assert "hf_secret" not in repr(reader.settings)


def test_of_a_large_file_the_configuration_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "run-a.wandb"
    path.write_bytes(write_log(CONFIGURATION, *[history(step, loss=0.5, note="x" * 900) for step in range(1500)]))
    assert path.stat().st_size > MAX_BYTES
    reader = Reader(tmp_path)
    assert reader.read(1.0)
    assert reader.settings["num_generations"] == 8


def test_a_configuration_that_is_none_tells_nothing() -> None:
    assert read_configuration(part(5, b"\xff" * 40)) == {}
    assert read_configuration(history(1, learning_rate=0.5)) == {}


def test_the_newest_run_is_followed(tmp_path: Path) -> None:
    old, new = (tmp_path / "wandb" / f"offline-run-{number}" / f"run-{number}.wandb" for number in (1, 2))
    for path in (old, new):
        path.parent.mkdir(parents=True)
    old.write_bytes(write_log(history(step=9, loss=0.5)))
    reader = Reader(tmp_path)
    assert [record.step for record in reader.read(0.0)] == [9]
    os.utime(old, (1, 1))
    new.write_bytes(write_log(history(step=1, loss=0.5)))
    assert [record.step for record in reader.read(60.0)] == [1]
    assert list(reader.read(61.0)) == []


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run-1.wandb"
    file.write_bytes(b"something else")
    with pytest.raises(ReadError, match="not a run file of wandb"):
        Reader(file).read(0.0)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ReadError, match=r"no run of wandb \(run-….wandb\) in it yet"):
        Reader.configured({"path": "."}, empty).read(0.0)


@given(st.binary(max_size=400), st.integers(0, 400), st.binary(max_size=8))
@settings(max_examples=150, deadline=None)
def test_any_bytes_cost_bytes_only(noise: bytes, place: int, patch: bytes) -> None:
    content = bytearray(write_log(history(step=1, loss=0.5), noise) + noise)
    content[place : place + len(patch)] = patch
    log = Messages(0)
    for message in log.take(bytes(content)):
        read_history(message, Calls())
    assert 0 <= log.place <= max(len(content), BLOCK_BYTES)
