"""Sidecars beside each other ask the accelerators once; a probe that hangs is given up and keeps nobody waiting."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from exporter.accelerators.reading import Reading, dump
from exporter.accelerators.shared_probe import (
    EVERY_SECONDS,
    LIMIT_SECONDS,
    LOCK_FILE,
    RESULT_FILE,
    UNAVAILABLE_SECONDS,
    SharedProbe,
    choose_folder,
)
from exporter.files.file_lock import locked
from tests.exporter.accelerators.stand_in import card, command, install, loads
from tests.fakes import arguments_of, wait_for

NOW = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in of the library is, for each probe of the test."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "library"))
    return tmp_path / "library"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "peers").mkdir()
    return tmp_path / "peers"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_probe(folder: Path, clock: Clock) -> Iterator[Callable[..., SharedProbe]]:
    probes: list[SharedProbe] = []

    def make(program: Sequence[str] = ()) -> SharedProbe:
        probes.append(SharedProbe(folder, program or command(), clock=clock))
        return probes[-1]

    yield make
    for run in [one._running for one in probes if one._running]:
        run.child.kill()
        run.child.wait()
        run.close()


def ask(probe: SharedProbe, now: float = NOW) -> Reading:
    """Asks until the probe that this starts has answered."""
    return wait_for(lambda: probe.read(now), 5, "an answer of the probe", every=0.02)


def ask_again(probe: SharedProbe, now: float) -> Reading:
    """Asks until there is an answer of this time."""

    def read() -> Reading | None:
        reading = probe.read(now)
        return reading if reading and reading.taken_at == now else None

    return wait_for(read, 5, "another answer of the probe", every=0.02)


def problems(reading: Reading | None) -> list[str]:
    assert reading is not None
    return [one.problem for one in reading.devices]


def wait_for_library(library: Path, times: int = 1) -> None:
    wait_for(lambda: loads(library) >= times, 5, "the probe has loaded the library", every=0.02)


def test_an_answer_is_for_all_beside_each_other(library: Path, make_probe: Callable[..., SharedProbe]) -> None:
    install(library, card())
    first, *others = [make_probe() for _ in range(20)]
    assert first.read(NOW) is None
    # Unless it has answered already.
    assert [one.read(NOW) for one in others] == [None] * 19 or loads(library), "nobody waits for it"
    reading = ask(first)
    assert reading.devices[0].name == "NVIDIA GeForce RTX 4090"
    assert all(one.read(NOW + 5) == reading for one in others)
    assert loads(library) == 1


def test_the_next_answer_is_asked_for_when_it_is_due(library: Path, make_probe: Callable[..., SharedProbe]) -> None:
    install(library, card())
    first, second = make_probe(), make_probe()
    at = ask(first).taken_at
    second.read(at + EVERY_SECONDS - 1)
    install(library, card(temperature=88))
    later = at + EVERY_SECONDS
    second.read(later)
    ask_again(second, later)
    reading = first.read(later)
    assert reading is not None
    assert reading.devices[0].values["temperature_celsius"] == 88
    assert loads(library) == 2


def test_a_library_that_hangs_loses_its_cards(
    library: Path, clock: Clock, make_probe: Callable[..., SharedProbe]
) -> None:
    install(library, card(), card(uuid="GPU-2-2"))
    probe, other = make_probe(), make_probe()
    at = ask(probe).taken_at
    install(library, hangs=True)
    probe.read(at + EVERY_SECONDS)
    wait_for_library(library, 2)
    clock.now = LIMIT_SECONDS - 1
    assert problems(probe.read(at + 44)) == ["", ""], "it still has time"
    clock.now = LIMIT_SECONDS
    # The library hangs for longer than this: nothing waits for it.
    began = time.monotonic()
    assert problems(probe.read(at + 45)) == ["timed_out", "timed_out"]
    assert time.monotonic() - began < 30
    assert problems(other.read(at + 45)) == ["timed_out", "timed_out"]
    assert not [one for one in psutil.Process().children() if "exporter.accelerators.probe" in arguments_of(one)]
    install(library, card(), card(uuid="GPU-2-2"))
    recovered = at + 45 + EVERY_SECONDS
    other.read(recovered)
    assert problems(ask_again(other, recovered)) == ["", ""]


def test_a_first_probe_that_hangs_names_no_card(
    library: Path, clock: Clock, make_probe: Callable[..., SharedProbe]
) -> None:
    install(library, hangs=True)
    probe = make_probe()
    probe.read(NOW)
    wait_for_library(library)
    clock.now = LIMIT_SECONDS
    reading = probe.read(NOW + LIMIT_SECONDS)
    assert reading is not None
    assert [(one.device, one.problem) for one in reading.devices] == [("unknown", "timed_out")]


class _Unkillable:
    """A child as one that waits in the kernel for its card: killed, and still there."""

    def __init__(self) -> None:
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        pass

    def wait(self, timeout: float = 0.0) -> int | None:
        if self.returncode is None:
            raise subprocess.TimeoutExpired("probe", timeout)
        return self.returncode


def test_a_probe_that_cannot_be_ended_is_the_only_one(
    library: Path, folder: Path, clock: Clock, make_probe: Callable[..., SharedProbe]
) -> None:
    install(library, card())
    probe, other = make_probe(), make_probe()
    at = ask(probe).taken_at
    install(library, hangs=True)
    probe.read(at + EVERY_SECONDS)
    wait_for_library(library, 2)
    run: Any = probe._running
    child, run.child = run.child, _Unkillable()
    clock.now = LIMIT_SECONDS
    for seconds in (45, 60, 75, 300):
        assert problems(probe.read(at + seconds)) == ["timed_out"]
        assert problems(other.read(at + seconds)) == ["timed_out"]
    assert loads(library) == 2
    child.kill()
    child.wait()
    run.child.returncode = -9
    probe.read(at + 305)
    with locked(folder / LOCK_FILE):
        pass


def test_a_machine_that_is_too_busy_to_begin_loses_no_card(
    library: Path, folder: Path, clock: Clock, make_probe: Callable[..., SharedProbe]
) -> None:
    probe = make_probe(["sleep", "60"])
    probe.read(NOW)
    clock.now = LIMIT_SECONDS + 60
    assert probe.read(NOW + 90) is None
    clock.now = 120
    reading = probe.read(NOW + 120)
    assert reading is not None
    assert (reading.devices, reading.unavailable) == ((), "the probe ended with status -9")


def test_a_missing_library_is_looked_for_again_after_a_while(
    library: Path, make_probe: Callable[..., SharedProbe], caplog: pytest.LogCaptureFixture
) -> None:
    install(library, error=12)
    probe = make_probe()
    at = ask(probe).taken_at
    for seconds in (15, 60, UNAVAILABLE_SECONDS - 1):
        probe.read(at + seconds)
    assert loads(library) == 1
    assert caplog.text.count("the accelerators cannot be read: libnvidia-ml.so.1 is not here") == 1
    probe.read(at + UNAVAILABLE_SECONDS)
    wait_for_library(library, 2)


def test_an_old_answer_or_a_damaged_one_is_none(
    folder: Path, library: Path, make_probe: Callable[..., SharedProbe]
) -> None:
    install(library, card())
    (folder / RESULT_FILE).write_bytes(dump(Reading(NOW, boot="x", taken_at=NOW)))
    with locked(folder / LOCK_FILE):
        assert make_probe().read(NOW + 60) is not None
        assert make_probe().read(NOW + 600) is None
        assert make_probe().read(NOW - 600) is None, "the clock was set back"
        (folder / RESULT_FILE).write_bytes(b"{")
        assert make_probe().read(NOW) is None
    assert ask(make_probe()).devices


def test_the_answer_lies_where_nobody_else_can_write(tmp_path: Path) -> None:
    private, public = tmp_path / "peers", tmp_path / "public"
    for parent, mode in ((private, 0o755), (public, 0o777)):
        parent.mkdir()
        (parent / "a").mkdir()
        os.chmod(parent, mode)
    assert choose_folder(private / "a") == private
    assert choose_folder(public / "a") == public / "a"
