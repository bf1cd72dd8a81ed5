"""The operator of a fleet whose services a throw-away machine's systemd runs."""

import itertools
import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.fakes import LOOPBACK, wait_for
from tests.systemd_box import Box

FLEET = "my fleet 100% é"
SIDECARS = {"cedar": 9702, "dune": 9703}
# Where the output of its commands goes: in memory, and not in the home, whose files are listed.
_OUTPUT = Path("/tmp")


@dataclass(frozen=True)
class Run:
    """A watched trainer as its sidecar serves it."""

    pid: int
    steps: float
    reward: float


class Operator:
    """What the box's user does in the folder of the fleet; its commands are forks of one process (`tests.warm`)."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._commands = itertools.count()
        self._server = box.serve("fleet")

    def end(self) -> None:
        self._server.end()

    def shell(self, script: str, status: int = 0, **environment: str) -> str:
        return self.box.run("sh", "-c", f"cd {shlex.quote(FLEET)} 2>/dev/null; {script}", status=status, **environment)

    def peerwatch(self, *arguments: str, status: int | None = 0, **environment: str) -> str:
        """The output of `peerwatch ARGUMENTS`; expects the exit status `status`, or any where it is None."""
        number = next(self._commands)
        out, err = (_OUTPUT / f"{number}.{name}" for name in ("out", "err"))
        process = self._server.start(
            *arguments,
            out=out,
            err=err,
            folder=self.box.home / FLEET,
            environment=self.box.environment(environment),
            seen_from=self.box.root,
        )
        code = process.wait(300)
        said = "".join((self.box.root / path.relative_to("/")).read_text() for path in (out, err))
        assert status in (None, code), f"{arguments}: {code}\n{said}"
        return said

    def write(self, name: str, text: str) -> None:
        self.shell(f"printf %s {shlex.quote(text)} > {shlex.quote(name)}")

    def remove_peer(self, name: str, **alerts: str) -> None:
        """From the file, with a change of the alerts' settings."""
        content = yaml.safe_load(self.shell("cat peerwatch.yaml"))
        content["peers"] = [peer for peer in content["peers"] if peer["name"] != name]
        content["alerts"] |= alerts
        self.write("peerwatch.yaml", yaml.safe_dump(content, sort_keys=False))

    def systemctl(self, *arguments: str, status: int = 0) -> str:
        return self.shell(f"XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user {shlex.join(arguments)}", status)

    def show(self, unit: str, *names: str) -> dict[str, str]:
        lines = self.systemctl("show", f"peerwatch-tried-{unit}.service", "-p", ",".join(names)).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def main_pid(self, unit: str) -> int:
        """Of a unit's present run; 0 while there is none."""
        return int(self.show(unit, "MainPID")["MainPID"])

    def pids(self) -> dict[str, int]:
        """The pid of each program that runs, by its title, as systemd has it; that takes a tenth of the time."""
        found: dict[str, int] = {}
        for block in self.systemctl("show", "peerwatch-tried-*.service", "-p", "Id,MainPID").split("\n\n"):
            facts = dict(line.split("=", 1) for line in block.split())
            program, _, peer = facts["Id"].removeprefix("peerwatch-tried-").removesuffix(".service").partition("@")
            if facts["MainPID"] != "0" and program != "logs":
                title = {"trainer": "peer"}.get(program, program)
                found[f"{title}:{peer}" if peer else title] = int(facts["MainPID"])
        return found

    def list_services(self) -> str:
        return self.peerwatch("services", "status", status=None)

    def listed(self) -> dict[str, int]:
        """The same as `peerwatch services status` lists it."""
        lines = self.list_services().splitlines()
        running = [line.split() for line in lines if " running, pid " in line]
        return {words[0]: int(words[-1]) for words in running}

    def find(self, pattern: str) -> set[int]:
        """Processes of the user with this in their command line."""
        return set(map(int, self.shell(f"pgrep -u $(id -u) -f {shlex.quote(pattern)} || true").split()))

    def running(self) -> list[str]:
        """The user's processes that may be of the fleet: pid, parent and name; not what runs the commands here."""
        server = self.shell("pgrep -o -u $(id -u) -f 'tests[.]warm'").strip()
        lines = self.shell("ps -o pid=,ppid=,comm= -u $(id -u)").splitlines()
        return [line for line in lines if re.search("python|p2pd", line) and server not in line.split()[:2]]

    def steps(self, name: str) -> int:
        text = self.shell(f"grep '^trainer_steps_total ' state/peers/{name}/trainer.prom 2>/dev/null || true")
        return int(float(text.split()[1])) if text else 0

    def read_sidecar(self, name: str) -> Run | None:
        """The run that the sidecar serves; None where it serves none that is up and has steps."""
        page = f"http://{LOOPBACK}:{SIDECARS[name]}/metrics"
        ask = f"import urllib.request as r; print(r.urlopen('{page}').read().decode())"
        record = f"cat state/peers/{name}/process.json"
        script = f"({record} && echo && {sys.executable} -ISc {shlex.quote(ask)}) 2>/dev/null || true"
        first, *lines = self.shell(script).splitlines() or ["null"]
        values = {name: float(value) for name, value in (line.split() for line in lines if line.count(" ") == 1)}
        if values.get("trainer_up") != 1 or "trainer_reward_mean" not in values:
            return None
        return Run(json.loads(first)["pid"], values["trainer_steps_total"], values["trainer_reward_mean"])

    def wait_for_run(self, name: str, what: str, *, other_than: Run | None = None) -> Run:
        """The run that the sidecar serves, of another process than `other_than`."""

        def look() -> Run | None:
            run = self.read_sidecar(name)
            return run if run and run.steps > 2 and (other_than is None or run.pid != other_than.pid) else None

        run = wait_for(look, 60, what, every=0.5)
        assert run is not None
        return run
