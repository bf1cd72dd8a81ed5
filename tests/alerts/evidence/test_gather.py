"""What a firing alert carries of its trainer: from a real process, and without one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from alerts.engine.evaluate import Event, Key
from alerts.evidence.gather import MAX_LENGTH, Gatherer, find_frames, gather
from alerts.evidence.trainer_process import catches, find_own_trainer, writes_stacks
from alerts.messages.single import Style, render
from tests.alerts.conftest import AlertLoop, Sidecar
from tests.fakes import PATIENCE, Webhook, wait_for

TRAINER = """
import faulthandler, signal, sys, time
stacks = open("stacks.log", "a")
if "deaf" not in sys.argv:
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
if "greedy" in sys.argv:
    import subprocess
    greed = "x = b'x' * 120_000_000; import sys; print(1, flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", greed], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
def wait_for_the_swarm():
    print("ready", flush=True)
    while True:
        time.sleep(0.05)
wait_for_the_swarm()
"""
StartTrainer = Callable[..., psutil.Process]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "run dir"
    folder.mkdir()
    (folder / "trainer.log").write_text(
        "".join(f"step={number}\n" for number in range(1000)) + "\x1b[1mHF_TOKEN=hf_abcdefghijklmnop\x00\n\n"
    )
    return folder


@pytest.fixture
def start_trainer(run_dir: Path) -> Iterator[StartTrainer]:
    """A process that stands for the trainer of the run folder, with its record."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> psutil.Process:
        process = subprocess.Popen(
            [sys.executable, "-c", TRAINER, *arguments],
            cwd=run_dir,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        found = psutil.Process(process.pid)
        _record(run_dir, process.pid, found.create_time())
        return found

    yield start
    for process in started:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait(timeout=90)
        assert process.stdout is not None
        process.stdout.close()


def _record(run_dir: Path, pid: object, create_time: object) -> None:
    (run_dir / "process.json").write_text(json.dumps({"pid": pid, "create_time": create_time}))


def _event(rule: str = "PeerStalled", peer: str = "a") -> Event:
    return Event(Key(rule, peer), "firing", 1e9, 1e9, "critical", "No progress.")


def test_a_stall_shows_the_end_of_the_log_and_where_the_main_thread_is(
    run_dir: Path, start_trainer: StartTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.evidence.gather.STACKS_SECONDS", 60.0)
    trainer = start_trainer()
    lines = gather(("process", "log", "stacks"), run_dir).splitlines()
    assert lines[:2] == ["trainer.log ends:", "| step=997"]
    assert lines[4] == "| HF_TOKEN=***"
    assert lines[5] == "Main thread (all threads: stacks.log):"
    assert lines[6].endswith("wait_for_the_swarm")
    assert trainer.is_running()


def test_a_trainer_that_would_die_of_the_signal_is_not_sent_it(run_dir: Path, start_trainer: StartTrainer) -> None:
    trainer = start_trainer("deaf")
    assert gather(("stacks",), run_dir) == ""
    assert trainer.is_running()
    assert trainer.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(("fact", "started_at", "is_sent"), [(1, 100.0, True), (0, 100.0, False), (1, 200.0, False)])
def test_where_handlers_are_not_shown_the_trainer_that_runs_must_say_that_it_has_one(
    fact: int, started_at: float, is_sent: bool
) -> None:
    text = f"trainer_phase_start_timestamp_seconds 150.5\ntrainer_stacks_on_signal {fact}\n"
    assert writes_stacks(text, started_at) == is_sent
    assert not writes_stacks("trainer_phase_start_timestamp_seconds 150.5\n", 100.0)


def test_a_stopped_trainer_is_named_as_stopped(run_dir: Path, start_trainer: StartTrainer) -> None:
    trainer = start_trainer()
    trainer.send_signal(signal.SIGSTOP)
    wait_for(lambda: trainer.status() == psutil.STATUS_STOPPED, 5, "the trainer is stopped", every=0.01)
    assert gather(("process", "stacks"), run_dir) == (
        f"Process {trainer.pid} is stopped by a signal (SIGSTOP); SIGCONT resumes it."
    )


def test_the_largest_process_of_the_tree_is_named(run_dir: Path, start_trainer: StartTrainer) -> None:
    trainer = start_trainer("greedy")
    child = trainer.children()[0]
    text = gather(("biggest",), run_dir)
    assert text.startswith("Largest of 2 processes: ")
    assert f"(PID {child.pid}, a child of the trainer), 0.1" in text


def test_a_process_that_only_has_the_trainers_number_is_left_alone(run_dir: Path, start_trainer: StartTrainer) -> None:
    trainer = start_trainer()
    _record(run_dir, trainer.pid, trainer.create_time() - 10)
    assert find_own_trainer(run_dir) is None
    assert gather(("process", "stacks", "biggest"), run_dir) == "The process in process.json is not running."
    assert (run_dir / "stacks.log").read_text() == ""


@pytest.mark.parametrize("pid", [-1, 0, 2**70, "1", None, True, [1]])
def test_a_record_that_names_no_process_is_no_error(run_dir: Path, pid: object) -> None:
    _record(run_dir, pid, 1.0)
    assert find_own_trainer(run_dir) is None
    (run_dir / "process.json").write_text('{"pid": ')
    assert find_own_trainer(run_dir) is None


def test_files_that_are_not_regular_cost_only_their_part(run_dir: Path) -> None:
    (run_dir / "trainer.log").unlink()
    os.mkfifo(run_dir / "trainer.log")
    assert gather(("log", "stacks"), run_dir) == ""
    assert gather(("process", "biggest", "log", "stacks"), run_dir / "gone")


def test_evidence_is_bounded(run_dir: Path) -> None:
    (run_dir / "trainer.log").write_text("x" * 10**7 + "\n" + ("y" * 500 + "\n") * 100)
    assert len(gather(("log",), run_dir)) <= MAX_LENGTH


def test_a_private_key_in_the_log_is_masked_over_all_its_lines(run_dir: Path) -> None:
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
    key = f"-----BEGIN PRIVATE KEY-----\n{body}\nc2hvcnQ=\n-----END PRIVATE KEY-----"
    (run_dir / "trainer.log").write_text(f"step=1\n{key}\nAuthorization: token s3cr3tvalue9\n")
    assert gather(("log",), run_dir).splitlines()[1:] == ["| ***", "| ***", "| ***", "| Authorization: ***"]
    (run_dir / "restart.log").write_text("trainer.log ended:\n| password is s3cr3tvalue9\n")
    assert gather(("restart",), run_dir).splitlines()[1] == "| password is ***"


def test_only_what_fires_and_has_a_run_folder_gets_evidence(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.evidence.gather.SECONDS", 60.0)
    gatherer = Gatherer({"a": run_dir})
    resolved = Event(**{**vars(_event()), "kind": "resolved"})
    events = asyncio.run(gatherer.attach([_event(), resolved, _event(peer="b"), _event("RankDrop")]))
    assert [bool(event.evidence) for event in events] == [True, False, False, False]
    body = render(events[0], Style("demo", find_remedy=lambda _rule: "restart it.")).body
    assert "What to do: restart it.\nThe process in process.json is not running.\ntrainer.log ends:\n" in body


def test_a_disk_that_hangs_delays_no_message_for_long_and_is_not_read_twice(
    tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    go_on = threading.Event()

    def hang(_kinds: object, folder: Path, parts: list[str]) -> None:
        asked.append(folder)
        if folder == tmp_path:
            go_on.wait(600)
        parts.append("late" if folder == tmp_path else "in time")

    monkeypatch.setattr("alerts.evidence.gather.find_parts", hang)
    monkeypatch.setattr("alerts.evidence.gather.SECONDS", 3.0)
    gatherer = Gatherer({"hangs": tmp_path, "a": run_dir})
    for _ in range(2):
        events = asyncio.run(gatherer.attach([_event(peer="hangs"), _event()]))
        assert [event.evidence for event in events] == ["", "in time"]
    assert not go_on.is_set()
    go_on.set()
    assert Counter(asked) == {tmp_path: 1, run_dir: 2}


def test_what_was_found_before_a_disk_hung_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is on the disk that hangs; what the process does is known without it."""
    go_on = threading.Event()
    monkeypatch.setattr("alerts.evidence.trainer_log._read_log", lambda _run_dir: go_on.wait(600) and None)
    monkeypatch.setattr("alerts.evidence.gather.SECONDS", 3.0)
    (event,) = asyncio.run(Gatherer({"a": tmp_path}).attach([_event()]))
    go_on.set()
    assert event.evidence == "The process in process.json is not running."


def test_the_innermost_frames_of_the_main_thread_are_found() -> None:
    stacks = (
        "Thread 0x01 (most recent call first):\n"
        '  File "/usr/lib/python3.11/threading.py", line 320 in wait\n\n'
        "Current thread 0x02 (most recent call first):\n"
        '  File "/opt/a b/linear.py", line 114 in forward\n'
        '  File "/opt/grpo.py", line 9 in <module>\n'
    )
    assert find_frames(stacks) == ["linear.py:114 forward", "grpo.py:9 <module>"]
    assert find_frames("") == []


def test_a_handled_signal_is_seen_in_the_mask() -> None:
    assert catches("Name:\tpython\nSigCgt:\t0000000100000a02\n", 10)
    assert not catches("SigCgt:\t0000000100000802\n", 10)
    assert not catches("Name:\tpython\n", 10)


def test_the_message_of_a_stall_carries_it(
    make_loop: Callable[..., AlertLoop], sidecar: Sidecar, run_dir: Path, start_trainer: StartTrainer
) -> None:
    start_trainer()
    webhook = Webhook()
    try:
        targets = [{"peer": "a", "url": sidecar.url, "run_dir": str(run_dir)}]
        loop = make_loop({}, {"hook": webhook.url}, targets=targets)
        loop.start()
        # On a busy machine a message goes without what is not found in a second.
        for _ in range(PATIENCE):
            before = len(webhook.messages)
            sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
            message = wait_for(lambda n=before: webhook.messages[n:], 10, "the alert")[0]  # type: ignore[misc]
            if message.says("wait_for_the_swarm"):
                break
            sidecar.serve()
            wait_for(lambda n=before: webhook.messages[n + 1 :], 10, "its end")  # type: ignore[misc]
        assert message.says("No progress for", "Last step: 12", "| step=999", "HF_TOKEN=***", "wait_for_the_swarm")
    finally:
        webhook.close()
