"""`python -m MODULE` without the time that its imports take: forks of a process that has them, one for each program.

What runs is the module's own `__main__`, in a process of its own, with its own arguments, environment, folder, output
and exit status. Only what was imported before it is shared; so each such program is started by Python itself in some
test, too: a test of what a program imports or needs of memory, or of its command line as others see it, has to.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import itertools
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_TRAINER = (
    "trainer.driver",
    "trainer.grpo",
    "trainer.swarm.dht",
    "trainer.swarm.publisher",
    "trainer.tasks.gym",
    "exporter.telemetry",
)
# Of each program, what it imports at its start, and a command within it.
PRELOADED = {
    "trainer": _TRAINER,
    "tests.e2e.trainer_by_clock": _TRAINER,
    "alerts": ("alerts.__main__",),
    "fleet": (
        "fleet.__main__",
        "fleet.alert_loop.access",
        "fleet.configuration.checks",
        "fleet.plan.answer",
        "fleet.plan.question",
        "fleet.supervision.foreground",
        "fleet.supervision.service_plan",
    ),
}
_POLL_SECONDS = 0.02


class WarmProcess:
    """What of `subprocess.Popen` is needed; it is a grandchild, so its end is read from a file."""

    def __init__(self, pid: int, status: Path) -> None:
        self.pid, self._status = pid, status

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return int(self._status.read_text()) if self._status.exists() else None

    def wait(self, timeout: float) -> int:
        """Raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(_POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Server:
    """A process that has imported what a program of `PRELOADED` needs, and forks for each start of it.

    It ends when its input does.
    """

    def __init__(self, program: str, *, words: Sequence[str] = (), environment: Mapping[str, str] | None = None):
        """Run by `words`, which may lead into a machine of its own, whose paths and pids its own are then."""
        self._program = program
        self._numbers = itertools.count()
        self._process = subprocess.Popen(
            [*words, sys.executable, "-m", __name__, program],
            cwd=ROOT,
            env=os.environ if environment is None else environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self,
        *arguments: str,
        out: Path,
        err: Path,
        folder: Path,
        environment: Mapping[str, str],
        seen_from: Path = Path("/"),
    ) -> WarmProcess:
        """Its output is appended to the files, beside which its status is noted; they are read below `seen_from`."""
        status = out.with_name(f"{out.name}.{next(self._numbers)}.ended").absolute()
        request = {
            "module": self._program,
            "arguments": arguments,
            "out": str(out.absolute()),
            "err": str(err.absolute()),
            "status": str(status),
            "folder": str(folder),
            "environment": dict(environment),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return WarmProcess(int(self._process.stdout.readline()), seen_from / status.relative_to("/"))

    def end(self) -> None:
        """It, and not what it has started."""
        self._process.communicate()


def start(
    module: str,
    *arguments: str,
    out: Path,
    err: Path,
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> WarmProcess:
    """Starts a program of `PRELOADED` in `folder`, with this process's environment or another.

    Its output is appended to the files, beside which its status is noted.
    """
    given = os.environ if environment is None else environment
    return _server(module).start(*arguments, out=out, err=err, folder=folder, environment=given)


@functools.cache
def _server(module: str) -> Server:
    """One for each process that runs tests."""
    server = Server(module, environment=os.environ | {"OMP_NUM_THREADS": "1"})
    atexit.register(server.end)
    return server


def main(program: str) -> None:
    gc.disable()
    for module in PRELOADED[program]:
        importlib.import_module(module)
    # It is to run, as `__main__`.
    sys.modules.pop(f"{program}.__main__", None)
    gc.freeze()
    gc.enable()
    for line in sys.stdin:
        if os.fork() == 0:
            _start_and_wait(json.loads(line))
        _reap()
    _reap()


def _reap() -> None:
    """Those that have ended, so that their time counts as this process's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _start_and_wait(request: dict[str, Any]) -> None:
    for name in ("out", "err"):
        Path(request[name]).touch()
    pid = os.fork()
    if pid == 0:
        _run(request)
    os.write(1, f"{pid}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = Path(request["status"])
    unfinished = status.with_suffix(".new")
    unfinished.write_text(str(code))
    unfinished.rename(status)
    os._exit(0)


def _run(request: dict[str, Any]) -> None:
    """As Python does for `-m`; the end of the interpreter included, where the program leaves that to it."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, request["out"]), (2, request["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    sys.argv = [request["module"], *request["arguments"]]
    # What a program starts itself again by.
    sys.orig_argv = [sys.executable, "-m", *sys.argv]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    sys.exit()


def run(
    module: str,
    *arguments: str,
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` of `python -m MODULE ARGUMENTS` in `folder`, with its output as text.

    Raises subprocess.TimeoutExpired, and then lets it run.
    """
    with tempfile.TemporaryDirectory() as kept:
        out, err = Path(kept, "out"), Path(kept, "err")
        process = start(module, *arguments, out=out, err=err, folder=folder, environment=environment)
        code = process.wait(timeout)
        return subprocess.CompletedProcess([module, *arguments], code, out.read_text(), err.read_text())


if __name__ == "__main__":
    main(sys.argv[1])
