"""Event files: scalars of both kinds, what is broken or half written, several files, a new run."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.progress.readers.tensorboard import (
    MAX_BYTES,
    Reader,
    Scalar,
    group_by_step,
    mask_crc32c,
    parse,
    read_event,
)
from exporter.progress.record import ReadError


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes((number & 0x7F | 0x80,)), number >> 7
    return out + bytes((number,))


def part(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def event(tag: str, step: int, value: float, *, at: float = 1.7e9, tensor: bytes = b"") -> bytes:
    scalar = part(8, tensor) if tensor else b"\x15" + struct.pack("<f", value)
    summary = part(1, part(1, tag.encode()) + scalar)
    return b"\x09" + struct.pack("<d", at) + b"\x10" + varint(step) + part(5, summary)


def frame(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    checksums = (struct.pack("<I", mask_crc32c(data)) for data in (length, message))
    return length + next(checksums) + message + next(checksums)


def steps(reader: Reader, now: float = 0.0) -> list[int | None]:
    return [record.step for record in reader.read(now)]


def test_the_checksum_is_that_of_the_format() -> None:
    # RFC 3720, B.4: the CRC32C of 32 zeros is 8a9136aa; masked as TFRecord has it.
    crc = 0x8A9136AA
    assert mask_crc32c(bytes(32)) == (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFF_FFFF


@pytest.mark.parametrize(
    "tensor",
    [
        b"\x08\x01" + part(4, struct.pack("<f", 0.5)),
        b"\x08\x01" + part(5, struct.pack("<f", 0.5)),
        b"\x08\x01\x2d" + struct.pack("<f", 0.5),
        b"\x08\x02" + part(4, struct.pack("<d", 0.5)),
        b"\x08\x02" + part(6, struct.pack("<d", 0.5)),
        b"\x08\x13" + part(4, struct.pack("<e", 0.5)),
    ],
)
def test_scalars_that_are_tensors_are_read(tensor: bytes) -> None:
    assert read_event(event("loss", 3, 0.0, tensor=tensor)) == [Scalar("loss", 3, 1.7e9, 0.5)]


def test_tensors_of_several_numbers_or_text_are_no_scalars() -> None:
    several = b"\x08\x01" + part(4, struct.pack("<2f", 0.5, 0.5))
    text = b"\x08\x07" + part(8, b"hello")
    assert read_event(event("hist", 3, 0.0, tensor=several)) == read_event(event("text", 3, 0.0, tensor=text)) == []


def test_scalars_of_one_step_are_one_record() -> None:
    scalars = [Scalar("loss", 1, 10.0, 0.5), Scalar("reward", 1, 11.0, 0.1), Scalar("loss", 2, 12.0, 0.4)]
    records = list(group_by_step([*scalars, Scalar("loss", 2, 13.0, 0.3)]))
    assert [(record.step, record.at, dict(record.values)) for record in records] == [
        (1, 11.0, {"loss": 0.5, "reward": 0.1}),
        (2, 12.0, {"loss": 0.4}),
        (2, 13.0, {"loss": 0.3}),
    ]


def test_what_comes_after_training_at_the_same_step_is_no_training(tmp_path: Path) -> None:
    training, evaluation, summary = (
        ("train/loss", "train/epoch"),
        ("eval/loss", "train/epoch"),
        ("train/train_runtime",),
    )
    tags = (*training, *evaluation, *summary, "train/train_loss", "train/epoch")
    file = tmp_path / "events.out.tfevents.1"
    file.write_bytes(b"".join(frame(event(tag, 5, 0.5)) for tag in tags))
    assert [dict(record.values) for record in Reader(file).read(0.0)] == [dict.fromkeys(training, 0.5)]


@pytest.mark.parametrize("place", [0, 8, 20, -1])
def test_a_broken_byte_costs_its_own_event_only(place: int) -> None:
    frames = [frame(event("loss", step, 0.5)) for step in (1, 2, 3)]
    broken = bytearray(frames[1])
    broken[place] ^= 0x41
    scalars, used = parse(frames[0] + bytes(broken) + frames[2])
    assert [one.step for one in scalars] == [1, 3]
    assert used == sum(map(len, frames))


@pytest.mark.parametrize("noise", [bytes(5000), b"\1\0\0\0\0\0\0\0" * 600, os.urandom(5000)], ids=["0", "1", "random"])
def test_what_follows_noise_is_found(noise: bytes) -> None:
    scalars, _ = parse(noise + frame(event("loss", 4, 0.5)))
    assert [one.step for one in scalars] == [4]


def test_half_an_event_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "events.out.tfevents.1.host"
    whole = frame(event("loss", 1, 0.5))
    reader = Reader(tmp_path)
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert steps(reader) == []
    file.write_bytes(whole)
    assert steps(reader) == [1]
    assert steps(reader) == []


def test_a_resumed_run_goes_on_in_its_second_file(tmp_path: Path) -> None:
    first, second = (tmp_path / f"events.out.tfevents.{at}.box.{pid}.0" for at, pid in ((1, 77), (2, 88)))
    first.write_bytes(frame(event("loss", 1, 0.5)))
    reader = Reader(tmp_path)
    assert steps(reader) == [1]
    second.write_bytes(frame(event("loss", 2, 0.5)))
    assert steps(reader, 60.0) == [2]


def test_files_of_one_process_are_one_run(tmp_path: Path) -> None:
    for number, name in enumerate(
        ("train/events.out.tfevents.1.box.77.0.v2", "eval/events.out.tfevents.2.box.77.1.v2")
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(frame(event("loss", number, 0.5)))
    assert sorted(map(int, steps(Reader(tmp_path)))) == [0, 1]


def test_two_trainers_that_write_at_once_are_flagged(tmp_path: Path) -> None:
    one, two = (tmp_path / f"events.out.tfevents.1.box.{pid}.0" for pid in (77, 88))
    reader = Reader(tmp_path)
    for step in range(3):
        for file, at in ((one, 10 * step), (two, 10 * step + 5)):
            with file.open("ab") as out:
                out.write(frame(event("loss", step, 0.5)))
            os.utime(file, (at, at))
        if step:
            with pytest.raises(ReadError, match=r"two runs are written at once, '.*box\.77' and '.*box\.88'; name"):
                reader.read(20.0 * step)
        else:
            assert steps(reader) == [0]
    # One of them has ended long ago.
    os.utime(one, (100, 100))
    assert steps(reader, 2000.0) == [0, 1, 2]


def test_a_new_run_folder_is_followed_and_the_old_one_is_not_mixed_in(tmp_path: Path) -> None:
    old, new = tmp_path / "runs" / "1" / "events.out.tfevents.1", tmp_path / "runs" / "2" / "events.out.tfevents.2"
    for path in (old, new):
        path.parent.mkdir(parents=True)
    old.write_bytes(frame(event("loss", 100, 0.5)))
    reader = Reader(tmp_path)
    assert steps(reader, 0.0) == [100]
    new.write_bytes(frame(event("loss", 1, 0.5)))
    os.utime(old, (1, 1))
    assert steps(reader, 60.0) == [1]


def test_a_file_that_is_replaced_or_cut_off_is_read_from_its_begin(tmp_path: Path) -> None:
    file = tmp_path / "events.out.tfevents.1"
    reader = Reader(file)
    file.write_bytes(frame(event("loss", 1, 0.5)) * 2)
    assert steps(reader) == [1, 1]
    file.write_bytes(frame(event("loss", 7, 0.5)))
    assert steps(reader) == [7]
    file.unlink()
    with pytest.raises(ReadError, match="no such file"):
        reader.read(0.0)


def test_of_a_large_file_the_end_is_read(tmp_path: Path) -> None:
    file = tmp_path / "events.out.tfevents.1"
    with file.open("wb") as out:
        out.truncate(50 * MAX_BYTES)
        out.seek(0, os.SEEK_END)
        out.writelines(frame(event("loss", step, 0.5)) for step in range(1, 100))
    assert steps(Reader(file)) == list(range(1, 100))


def test_a_folder_without_event_files_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"no event file \(events.out.tfevents"):
        Reader(tmp_path).read(0.0)


@pytest.mark.parametrize("options", [{}, {"path": 5}, {"path": ""}, {"file": "x"}, {"path": "a\0b"}])
def test_a_wrong_option_is_named(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^(path|file): "):
        Reader.configured(options, Path())


@given(st.binary(max_size=300), st.integers(0, 200), st.binary(max_size=8))
@settings(max_examples=150, deadline=None)
def test_any_bytes_cost_bytes_only(noise: bytes, place: int, patch: bytes) -> None:
    content = bytearray(frame(event("loss", 1, 0.5)) * 2 + noise)
    content[place : place + len(patch)] = patch
    for is_lost in (False, True):
        _, used = parse(bytes(content), is_lost=is_lost)
        assert 0 <= used <= len(content)
