"""The processes below a real one are found as psutil finds them, on Linux without a look at all others."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from exporter.system.process_tree import Descendants

# A process with a child by a thread of its own, which has a child too; a line of input ends that one.
TREE = """
import subprocess, sys, threading
if len(sys.argv) > 1:
    child = subprocess.Popen(["sleep", "100"])
    print(flush=True)
    sys.stdin.read()
    child.kill()
    child.wait()
else:
    keep = threading.Event()
    def start():
        global child
        child = subprocess.Popen([sys.executable, "-c", SELF, "child"], stdin=subprocess.PIPE)
        keep.wait()
    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    sys.stdin.readline()
    child.stdin.close()
    child.wait()
    print(flush=True)
    sys.stdin.readline()
    keep.set()
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    code = f"SELF = {TREE!r}\n{TREE}"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as top:
        assert top.stdout
        top.stdout.readline()
        yield top
        top.communicate()


def end_child(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.readline()


def test_all_below_are_found_until_they_end(process: subprocess.Popen[str]) -> None:
    top = psutil.Process(process.pid)
    descendants = Descendants(top)
    found = descendants.find()
    assert len(found) == 2
    assert found == top.children(recursive=True)
    assert descendants.find() == found
    end_child(process)
    assert descendants.find() == []


def test_a_system_that_does_not_tell_is_searched(process: subprocess.Popen[str], tmp_path: Path) -> None:
    top = psutil.Process(process.pid)
    descendants = Descendants(top, proc=tmp_path)
    assert descendants.find() == top.children(recursive=True)
    end_child(process)
    assert descendants.find() == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_child_that_was_left_out_is_not_lost(process: subprocess.Popen[str], tmp_path: Path) -> None:
    top = psutil.Process(process.pid)
    thread = tmp_path / str(top.pid) / "task" / str(top.pid)
    thread.mkdir(parents=True)
    (child, grandchild) = top.children(recursive=True)
    for one, below in ((top, child.pid), (child, grandchild.pid), (grandchild, "")):
        folder = tmp_path / str(one.pid) / "task" / str(one.pid)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "children").write_text(f"{below} ")
    descendants = Descendants(top, proc=tmp_path)
    assert descendants.find() == [child, grandchild]
    (tmp_path / str(child.pid) / "task" / str(child.pid) / "children").write_text("")
    assert descendants.find() == [child, grandchild]


def test_below_a_process_that_is_gone_is_nothing() -> None:
    with subprocess.Popen(["sleep", "100"]) as sleep:
        descendants = Descendants(psutil.Process(sleep.pid))
        sleep.kill()
    assert descendants.find() == []
