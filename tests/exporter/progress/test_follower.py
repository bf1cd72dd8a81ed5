"""A file is followed through all that may happen to it, and never read whole."""

import os
import shutil
import time
from pathlib import Path

import pytest

from exporter.progress.follower import LINE_BYTES, READ_BYTES, TAIL_BYTES, Follower
from exporter.progress.markers import Words
from exporter.progress.record import ReadError


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "run.log"
    path.write_bytes(b"")
    return path


def write(path, content, mode="ab"):
    with open(path, mode) as file:
        file.write(content)


def lines(follower, now=0.0):
    return list(follower.read(now))


def test_lines_come_once_each_when_they_are_complete(log):
    follower = Follower(log)
    write(log, b"one\ntw")
    assert lines(follower) == ["one\n"]
    assert follower.partial == "tw"
    assert lines(follower) == []
    write(log, b"o\nthree\n")
    assert lines(follower) == ["two\n", "three\n"]


@pytest.mark.parametrize("markers", [None, [Words(b"line")]])
def test_who_takes_a_few_lines_gets_the_rest_with_the_next_calls(log, markers):
    expected = [f"line {number}\n" for number in range(20_000)]
    write(log, "".join(expected).encode() + b"beg")
    follower = Follower(log)
    follower.markers = markers
    taken = []
    while len(taken) < len(expected):
        for number, line in enumerate(follower.read(0.0), start=1):
            taken.append(line)
            if number == 3_000:
                break
    assert taken == expected
    assert lines(follower) == []
    assert follower.partial == "beg"
    write(log, b"un\n")
    assert lines(follower) == ([] if markers else ["begun\n"])


def test_what_was_left_of_a_file_that_was_cut_is_gone(log):
    write(log, b"one\ntwo\nthree\n")
    follower = Follower(log)
    for _ in follower.read(0.0):
        break
    write(log, b"new\n", "wb")
    assert lines(follower) == ["new\n"]


def test_a_carriage_return_ends_what_a_progress_bar_drew(log):
    write(log, b"\r 1/3\r 2/3\r 3/3")
    follower = Follower(log)
    assert lines(follower) == ["\r", " 1/3\r", " 2/3\r"]
    assert follower.partial == " 3/3"
    write(log, b"\r\nend\r\n")
    assert lines(follower) == [" 3/3\n", "end\n"]


def test_bytes_that_are_not_text_do_not_stop_it(log):
    write(log, b"\xef\xbb\xbffirst\nloss \xff\xfe 0.5\n" + "Train\u2009✓\n".encode() + "w\r\n".encode("utf-16-le"))
    assert lines(Follower(log)) == ["first\n", "loss \ufffd\ufffd 0.5\n", "Train\u2009✓\n", "w\n"]


def test_a_log_that_was_renamed_is_read_to_its_end_and_then_the_new_one(log):
    follower = Follower(log)
    write(log, b"one\n")
    lines(follower)
    write(log, b"two\n")
    log.rename(log.with_suffix(".1"))
    write(log, b"three\n")
    assert lines(follower) == ["two\n", "three\n"]
    write(log, b"four\n")
    assert lines(follower) == ["four\n"]


def test_a_log_that_was_copied_and_truncated_goes_on(log):
    follower = Follower(log)
    write(log, b"one\ntwo\n")
    lines(follower)
    shutil.copy(log, log.with_suffix(".1"))
    os.truncate(log, 0)
    assert lines(follower) == []
    write(log, b"three\n")
    assert lines(follower) == ["three\n"]


def test_a_log_that_began_again_is_read_from_its_start_even_when_it_is_longer(log):
    follower = Follower(log)
    write(log, b"old 1\nold 2\n")
    lines(follower)
    write(log, b"new 1\nnew 2\nnew 3\n", "wb")
    assert lines(follower) == ["new 1\n", "new 2\n", "new 3\n"]


def test_a_shorter_log_that_begins_alike_is_believed_at_the_second_look(log):
    follower = Follower(log)
    banner = b"=" * 300 + b"\n"
    write(log, banner + b"one\ntwo\n")
    lines(follower)
    write(log, banner + b"one\n", "wb")
    assert lines(follower) == []
    assert lines(follower) == [banner.decode(), "one\n"]


def test_the_hole_that_a_writer_leaves_after_a_truncation_is_skipped(log):
    with open(log, "wb", buffering=0) as writer:
        follower = Follower(log)
        writer.write(b"x" * 99 + b"\n")
        lines(follower)
        os.truncate(log, 0)
        writer.write(b"after\n")
        assert log.read_bytes().startswith(b"\0")
        assert lines(follower) == ["after\n"]


def test_a_file_that_was_replaced_by_the_same_text_is_not_read_again(log):
    follower = Follower(log)
    write(log, b"one\ntwo\n")
    lines(follower)
    copy = log.with_suffix(".new")
    copy.write_bytes(log.read_bytes() + b"three\n")
    os.replace(copy, log)
    assert lines(follower) == ["three\n"]


def test_an_old_size_that_a_network_file_system_shows_once_repeats_nothing(log, monkeypatch):
    follower = Follower(log)
    write(log, b"one\ntwo\n")
    lines(follower)
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda number: os.stat_result((*real(number)[:6], 4, *real(number)[7:])))
    assert lines(follower) == []
    monkeypatch.undo()
    write(log, b"three\n")
    assert lines(follower) == ["three\n"]


def test_a_stale_handle_is_no_reason_to_begin_again(log, monkeypatch):
    follower = Follower(log)
    write(log, b"one\n")
    lines(follower)
    stale = follower._descriptor
    real = os.fstat

    def fail(number):
        if number == stale:
            raise OSError(116, "Stale file handle")
        return real(number)

    monkeypatch.setattr(os, "fstat", fail)
    write(log, b"two\n")
    assert lines(follower) == ["two\n"]


def test_a_file_that_is_not_there_yet_or_no_more_is_told_and_waited_for(log):
    log.unlink()
    follower = Follower(log)
    with pytest.raises(ReadError, match=r"run\.log: does not exist"):
        lines(follower)
    write(log, b"one\n")
    assert lines(follower) == ["one\n"]
    write(log, b"two\n")
    log.unlink()
    found = []
    with pytest.raises(ReadError):
        found.extend(follower.read(0.0))
    write(log, b"three\n")
    assert lines(follower) == ["three\n"]


def test_the_last_lines_of_a_removed_file_are_not_lost(log):
    follower = Follower(log)
    write(log, b"one\n")
    lines(follower)
    write(log, b"two\n")
    log.unlink()
    read = follower.read(0.0)
    assert next(read) == "two\n"
    with pytest.raises(ReadError):
        next(read)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "loop"])
def test_what_is_no_plain_file_is_refused(tmp_path, kind):
    path = tmp_path / "run.log"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    follower = Follower(path if kind != "device" else Path("/dev/zero"))
    # Opened as a plain file is, a FIFO would wait for a writer, and the device would be read without end.
    with pytest.raises(ReadError, match=r"not a plain file|symbolic links"):
        lines(follower)


def test_a_link_to_a_log_is_followed(tmp_path, log):
    write(log, b"one\n")
    (tmp_path / "latest").symlink_to(log)
    assert lines(Follower(tmp_path / "latest")) == ["one\n"]


def test_of_ten_gigabytes_only_the_end_is_read(log, monkeypatch):
    with open(log, "wb") as file:
        file.truncate(10 << 30)
        file.seek(10 << 30)
        file.write(b"\nlast\n")
    read = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda *given: read.append(given[1]) or real(*given))
    assert lines(Follower(log)) == ["last\n"]
    assert sum(read) <= TAIL_BYTES + 1024


def test_a_writer_that_is_faster_than_it_is_read_costs_lines_not_time(log):
    follower = Follower(log)
    write(log, b"one\n")
    lines(follower)
    write(log, b"filling the disk\n" * (READ_BYTES // 17 + 1))
    write(log, b"last\n")
    found = lines(follower)
    assert found[-1] == "last\n"
    assert sum(map(len, found)) <= TAIL_BYTES
    assert set(found[:-1]) == {"filling the disk\n"}


def test_a_line_without_end_is_left_out(log):
    follower = Follower(log)
    write(log, b"a\n" + b"x" * (LINE_BYTES + 1))
    assert lines(follower) == ["a\n"]
    assert follower.partial == ""
    write(log, b"x" * LINE_BYTES + b"\nb\n")
    assert lines(follower) == ["b\n"]


def test_a_new_run_folder_is_found(tmp_path):
    follower = Follower(tmp_path / "run-*" / "log", is_pattern=True)
    with pytest.raises(ReadError, match=r"run-\*/log: matches no file yet"):
        lines(follower)
    (tmp_path / "run-1").mkdir()
    write(tmp_path / "run-1" / "log", b"one\n")
    assert lines(follower, 100.0) == ["one\n"]
    write(tmp_path / "run-1" / "log", b"two\n")
    (tmp_path / "run-2").mkdir()
    write(tmp_path / "run-2" / "log", b"three\n")
    assert lines(follower, 120.0) == ["two\n", "three\n"]
    assert follower.path == tmp_path / "run-2" / "log"


def test_of_two_runs_that_both_write_one_is_followed(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, b"begin\n")
    follower = Follower(tmp_path / "[ab]", is_pattern=True)
    now = time.time()
    lines(follower, now)
    first = follower.path
    for step in range(1, 5):
        for name in ("a", "b"):
            write(tmp_path / name, b"step\n")
        lines(follower, now + step * 11)
        assert follower.path == first


def test_a_follower_that_is_dropped_leaves_no_descriptor(log):
    follower = Follower(log)
    lines(follower)
    descriptor = follower._descriptor
    del follower
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
