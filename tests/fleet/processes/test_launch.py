"""The launcher: how long it waits, when it gives up, and that it becomes the program."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fleet.processes.launch import (
    GAVE_UP_EXIT_CODE,
    Policy,
    delay,
    early_starts,
    parse_environment,
    read_environment,
    read_starts,
    wait_for_port,
    write_variable,
)
from fleet.processes.owner import OWNER_VARIABLE

POLICY = Policy(first_delay=5, longest_delay=300, stable_after=600, limit=20, window=7200)


def test_the_first_start_does_not_wait() -> None:
    assert delay([], 1000.0, POLICY) == 0


@pytest.mark.parametrize(
    ("earlier", "seconds"), [(1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (8, 300), (19, 300), (20, None)]
)
def test_each_early_end_doubles_the_wait_up_to_a_limit(earlier: int, seconds: float | None) -> None:
    starts = [1000.0 + number for number in range(earlier)]
    assert delay(starts, 1100.0, POLICY) == seconds


def test_starts_outside_the_window_do_not_count_towards_giving_up() -> None:
    starts = [1000.0 + number for number in range(20)]
    assert delay(starts, 1000.0 + 7200.0 + 5, POLICY) == 300


def test_a_stable_run_clears_the_record() -> None:
    assert early_starts([1000.0, 1010.0], 1010.0 + 599, POLICY) == [1000.0, 1010.0]
    assert early_starts([1000.0, 1010.0], 1010.0 + 600, POLICY) == []


def test_a_clock_that_was_set_back_clears_the_record() -> None:
    assert early_starts([1000.0, 1010.0], 500.0, POLICY) == []


BROKEN = ["", "{", "[]", '{"starts": 3}', '{"starts": ["x"]}', "null", f'{{"starts": [1{"0" * 400}]}}', "[" * 20000]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_record_is_ignored(tmp_path: Path, content: str) -> None:
    (tmp_path / "starts.json").write_text(content)
    assert read_starts(tmp_path / "starts.json") == []


def _launch(record: Path, *options: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fleet.processes.launch", "--record", str(record), *options, "--", *command],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_becomes_the_program_with_its_arguments_and_exit_code(tmp_path: Path) -> None:
    record = tmp_path / "with space 100%.json"
    program = "import os, sys; print(os.getpid(), sys.argv[1:]); sys.exit(7)"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "fleet.processes.launch",
            "--record",
            record,
            "--",
            sys.executable,
            "-c",
            program,
            "--limit",
            "a b",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    output, _ = process.communicate()
    assert output == f"{process.pid} ['--limit', 'a b']\n"
    assert process.returncode == 7
    assert json.loads(record.read_text())["pid"] == process.pid


def test_a_program_that_keeps_ending_early_waits_and_is_given_up_with_one_line(tmp_path: Path) -> None:
    record = tmp_path / "peer-a.json"
    options = ("--first-delay", "0.2", "--limit", "2")
    failing = [sys.executable, "-c", "raise SystemExit(1)"]
    first = _launch(record, *options, command=failing)
    second = _launch(record, *options, command=failing)
    third = _launch(record, *options, command=failing)
    assert (first.returncode, first.stdout) == (1, "")
    assert (second.returncode, second.stdout) == (1, "launch: peer-a ended early 1 times; restarting in 0.2 s\n")
    assert third.returncode == GAVE_UP_EXIT_CODE
    assert third.stdout == "launch: peer-a ended early 2 times; giving up until a manual start\n"


def test_a_program_that_does_not_exist_is_reported_in_one_line(tmp_path: Path) -> None:
    result = _launch(tmp_path / "x.json", command=["/nowhere/python"])
    assert (result.returncode, result.stderr) == (1, "launch: cannot run /nowhere/python: No such file or directory\n")


def test_an_unwritable_record_does_not_keep_the_program_from_starting(tmp_path: Path) -> None:
    result = _launch(tmp_path / "missing" / "x.json", command=[sys.executable, "-c", "print('runs')"])
    assert result.stdout == "runs\n"
    assert "cannot record this start" in result.stderr


def test_what_the_last_run_left_behind_is_ended_before_the_next_start(tmp_path: Path) -> None:
    environment = os.environ | {OWNER_VARIABLE: f"test-{os.getpid()}-{time.monotonic_ns()}/peer:a"}
    child = "from subprocess import Popen; print(Popen(['sleep', '300'], start_new_session=True, stdout=-3).pid)"
    command = [
        sys.executable,
        "-m",
        "fleet.processes.launch",
        "--record",
        str(tmp_path / "a.json"),
        "--first-delay",
        "0",
        "--",
    ]
    run = [*command, sys.executable, "-c", child]
    orphan = psutil.Process(int(subprocess.check_output(run, env=environment, text=True)))
    bystander = subprocess.Popen(["sleep", "300"])
    try:
        assert orphan.is_running()
        output = subprocess.check_output([*command, sys.executable, "-c", "print('next')"], env=environment, text=True)
        assert "ending 1 processes left by the last run of a" in output
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_it_waits_for_a_port_no_longer_than_it_may() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        wait_for_port(address, 0.3)
        assert time.monotonic() - began >= 0.3
        listener.listen()
        wait_for_port(address, 600)
        assert time.monotonic() - began < 300


def test_the_program_gets_the_lines_of_its_environment_file(tmp_path: Path) -> None:
    file = tmp_path / "a b.env"
    file.write_text('# TOKEN=no\nTOKEN=a "b" $c=d\'\n\nEMPTY=\n')
    show = [sys.executable, "-c", "import os; print([os.environ.get('TOKEN'), os.environ['EMPTY']])"]
    result = _launch(tmp_path / "x.json", "--environment-file", str(file), command=show)
    assert (result.stdout, result.stderr) == (repr(['a "b" $c=d\'', ""]) + "\n", "")
    missing = _launch(tmp_path / "y.json", "--environment-file", str(tmp_path / "none"), command=["true"])
    assert missing.returncode == 0
    unreadable = _launch(tmp_path / "z.json", "--environment-file", str(tmp_path), command=["true"])
    assert unreadable.returncode == 1
    assert "cannot read" in unreadable.stderr


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("X=a b", "a b"),
        ("X= a b ", "a b"),
        ("export X=a", "a"),
        ("  export  X = a", "a"),
        ('X="a b "', "a b "),
        ("X='a \"b\"'", 'a "b"'),
        ('X="a#b$c\\"', "a#b$c\\"),
        ("X=a#b=c", "a#b=c"),
        ("X=a'b", "a'b"),
        ("X=", ""),
        ('X=""', ""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_an_environment_file_is_read_as_people_write_it(tmp_path: Path, line: str, value: str, end: str) -> None:
    file = tmp_path / "a.env"
    file.write_bytes(f"\ufeff# comment{end or chr(10)}{line}{end}".encode())
    assert read_environment(file) == {"X": value}


@pytest.mark.parametrize("value", ["a", " a ", '"', "'a'", '"a', 'a"', "a\\", "${B}", "#", "", "ä", "a=b", "\u2028"])
def test_a_variable_is_read_back_as_it_was_written(value: str) -> None:
    assert parse_environment(write_variable("X", value)) == {"X": value}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"A=b\0c\n", "line 1 has a NUL"),
        (b"A=1\nhunter2\n", "line 2 is not NAME=value"),
        (b"A: hunter2\n", "line 1 is not NAME=value"),
        (b"A='hunter2\n", "line 1 has a quote at one end"),
        ("A=hunter2\n".encode("utf-16"), "not UTF-8"),
        (b"A=hunter2\xff\n", "not UTF-8"),
    ],
)
def test_an_environment_file_that_cannot_be_meant_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "a.env"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=words) as raised:
        read_environment(file)
    assert "hunter" not in str(raised.value)
