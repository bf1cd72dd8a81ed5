"""The files of the run folder are replaced whole and read in bounds."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from exporter.run_folder import (
    find_trainer,
    read_bounded,
    read_process_record,
    write_atomically,
    write_process_record,
)
from exporter.system.process_identity import identify


def test_a_written_file_is_whole_and_leaves_no_other(tmp_path):
    write_atomically(tmp_path / "a b.prom", b"one\n")
    write_atomically(tmp_path / "a b.prom", b"two\n")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a b.prom": b"two\n"}


def test_writers_with_one_pid_do_not_get_in_each_others_way(tmp_path):
    """As threads of a process, and often the processes of two containers."""

    def write(content):
        for _ in range(200):
            write_atomically(tmp_path / "file", content)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, (b"a" * 999, b"b" * 999, b"c" * 999)))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() in (b"a" * 999, b"b" * 999, b"c" * 999)


def test_a_record_that_was_replaced_or_lost_is_seen_at_once(tmp_path):
    assert read_process_record(tmp_path) is None
    for started_at in (1.5, 2.5):
        write_process_record(tmp_path, identify()._replace(create_time=started_at))
        assert [read_process_record(tmp_path).started_at for _ in range(2)] == [started_at] * 2
    (tmp_path / "process.json").write_text("{")
    assert read_process_record(tmp_path) is None
    (tmp_path / "process.json").unlink()
    assert read_process_record(tmp_path) is None


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").touch()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_written_file_has_the_wanted_mode(tmp_path):
    write_atomically(tmp_path / "secret", b"x", mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "link", "large"])
def test_only_a_plain_file_of_the_allowed_size_is_read(tmp_path, kind):
    path = tmp_path / "file"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        (tmp_path / "target").write_bytes(b"x")
        path.symlink_to("target")
    elif kind == "large":
        path.write_bytes(b"x" * 101)
    with pytest.raises((OSError, ValueError)):
        read_bounded(path, 100)


def test_a_recorded_process_is_found_until_it_ends(tmp_path):
    code = (
        "import pathlib, sys; from exporter.run_folder import write_process_record;"
        "write_process_record(pathlib.Path(sys.argv[1])); print(flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin
    assert child.stdout
    child.stdout.readline()
    record = read_process_record(tmp_path)
    assert record is not None
    assert record.identity.pid == child.pid
    found = find_trainer(tmp_path)
    assert found is not None
    assert found.pid == child.pid
    child.stdin.write("\n")
    child.stdin.close()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert find_trainer(tmp_path) is None  # not waited for: a zombie trains no more
    child.stdout.close()
    child.wait()
    assert find_trainer(tmp_path) is None


def test_another_process_with_the_recorded_number_is_not_the_trainer(tmp_path):
    own = psutil.Process()
    for moved, found in ((1.5, own), (-60.0, None)):
        # As an earlier release wrote it.
        record = {"pid": own.pid, "create_time": own.create_time() + moved}
        (tmp_path / "process.json").write_text(json.dumps(record))
        assert find_trainer(tmp_path) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"pid": "1", "create_time": 1}',
        '{"pid": true, "create_time": 1}',
        '{"pid": -1, "create_time": 1}',
        '{"pid": 1, "create_time": null}',
        f'{{"pid": 1, "create_time": 1{"0" * 400}}}',
        "[" * 4000,
    ],
)
def test_a_record_of_another_form_is_no_record(tmp_path, text):
    (tmp_path / "process.json").write_text(text)
    assert read_process_record(tmp_path) is None


def test_a_huge_process_number_is_no_process(tmp_path):
    (tmp_path / "process.json").write_text(json.dumps({"pid": 2**70, "create_time": 0.0}))
    assert find_trainer(tmp_path) is None


def test_the_record_is_the_documented_json(tmp_path):
    before = time.time()
    write_process_record(tmp_path)
    record = json.loads((tmp_path / "process.json").read_text())
    started_at = record.pop("started_at")
    own = identify().as_record()
    assert record == own | {"create_time": pytest.approx(psutil.Process().create_time())}
    assert own["pid"] == os.getpid()
    assert before <= started_at <= time.time()
