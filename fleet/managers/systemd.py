"""systemd user units for a fleet: a target, template units for what each peer has, and a drop-in for each peer.

The template holds what all peers share; the drop-in `10-peerwatch.conf` one peer's command, limits and log. Further
drop-ins are the user's. A target binds each peer's trainer and sidecar, which are not bound to each other: a sidecar
that stopped with its trainer could not report that the trainer is down.
"""

import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from fleet.managers import Command, File
from fleet.processes.launch import FINAL_EXIT_CODES, FINISHED_EXIT_CODE
from fleet.processes.programs import Program, group_and_name
from fleet.processes.state import ProcessState
from fleet.processes.systemctl import ask, environment, lingers, parse_show, process_state, user
from fleet.state_folder import StateFolder

# The trainer has 10 s to save; then systemd kills the rest of the unit's control group, p2pd included.
_STOP_SECONDS = 15
# Between MemoryHigh and MemoryMax a peer is throttled, not killed; MemoryExceeded fires before.
_MAX_OVER_HIGH = 1.2
_WRITTEN = "# Written by `peerwatch services install`"
_DROP_IN = "10-peerwatch.conf"
_KINDS = {"peer": "trainer"}
_PYTHON = ("PYTHONPATH", "PYTHONSAFEPATH")
_PER_PEER = ("peer", "sidecar")
_PROPERTIES = "Id,LoadState,ActiveState,SubState,MainPID,ExecMainCode,ExecMainStatus"

_HARDENING = """\
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
SystemCallArchitectures=native
"""
# Not for trainers: device drivers may need other address families.
_LIGHT_HARDENING = _HARDENING + "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"


class Manager:
    """systemd's user manager."""

    def __init__(self, fleet: str, folder: StateFolder) -> None:
        self._fleet, self._folder = fleet, folder
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        self._directory = home / "systemd" / "user"
        self._target = f"peerwatch-{fleet}.target"
        self._timer = f"peerwatch-{fleet}-logs.timer"

    @staticmethod
    def is_usual() -> bool:
        return sys.platform == "linux" and Path("/run/systemd/system").is_dir()

    def files(self, programs: Iterable[Program]) -> list[File]:
        planned = list(programs)
        titles = {group: [program.title for program in planned if program.group == group] for group in _PER_PEER}
        # The trainer of an attached peer is no service: the target of such a peer does not name one.
        trained = {program.name for program in planned if program.group == "peer"}
        attached = [one.name for one in planned if one.group == "sidecar" and one.name not in trained]
        return [
            File(self._directory / self._target, self._fleet_target(planned)),
            self._peer_target("", _PER_PEER),
            *(self._peer_target(name, ("sidecar",)) for name in attached),
            *(self._template(group, titles[group]) for group in _PER_PEER),
            *map(self._own_file, planned),
            *self._rotation(planned[0].environment),
        ]

    def reload(self) -> list[Command]:
        return [_systemctl("daemon-reload")]

    def enable(self) -> list[Command]:
        linger = [] if lingers() else [Command(("loginctl", "enable-linger"), allowed=frozenset(range(256)))]
        return [_systemctl("enable", "--quiet", self._target), *linger]

    def disable(self) -> list[Command]:
        return [_systemctl("disable", "--quiet", self._target)]

    def start(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        """Starts the targets without their dependencies, or a peer whose run has finished would start again."""
        targets = [self._target, self._timer, *self._peer_targets(titles)]
        return [
            _systemctl("start", "--job-mode=ignore-requirements", *targets),
            _systemctl("start", *map(self._unit, titles)),
        ]

    def stop(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        """A unit that no longer exists (5) is not a failure."""
        units = [*map(self._unit, titles), *self._peer_targets(titles, without=others)]
        if not others:
            units += [self._timer, self._target]
        return [_systemctl("stop", *units, allowed=(0, 5)), _systemctl("reset-failed", *units, allowed=(0, 1, 5))]

    def processes(self, titles: Iterable[str]) -> list[ProcessState]:
        by_unit = {self._unit(title): group_and_name(title) for title in titles}
        if not by_unit:
            return []
        states = []
        for facts in parse_show(ask("show", *by_unit, f"--property={_PROPERTIES}")):
            if facts.get("Id") in by_unit and facts.get("LoadState") != "not-found":
                group, name = by_unit[facts["Id"]]
                states.append(process_state(group, name, facts, str(self._folder.log(group, name))))
        return states

    def caveats(self) -> list[str]:
        if lingers():
            return []
        return [
            "lingering is off, so the fleet stops at log-out and does not start at boot; "
            f"turn it on with `loginctl enable-linger`, or with `sudo loginctl enable-linger {user()}`"
        ]

    def _unit(self, title: str) -> str:
        group, name = group_and_name(title)
        return f"{self._kind(group)}@{name}.service" if group in _PER_PEER else f"{self._kind(group)}.service"

    def _kind(self, group: str) -> str:
        return f"peerwatch-{self._fleet}-{_KINDS.get(group, group)}"

    def _peer_targets(self, titles: Iterable[str], without: Iterable[str] = ()) -> list[str]:
        """Of the peers of these programs, except those of other programs."""
        peers = dict.fromkeys(name for group, name in map(group_and_name, titles) if group in _PER_PEER)
        for _, name in map(group_and_name, without):
            peers.pop(name, None)
        return [f"peerwatch-{self._fleet}-peer@{name}.target" for name in peers]

    def _fleet_target(self, programs: list[Program]) -> str:
        wanted = [self._unit(program.title) for program in programs if program.group not in _PER_PEER]
        wanted += self._peer_targets(program.title for program in programs)
        wanted.append(self._timer)
        wants = "".join(f"Wants={unit}\n" for unit in wanted)
        unit = f"[Unit]\nDescription=Peerwatch fleet {self._fleet}\n{wants}"
        return f"{_head(self._target)}{unit}\n[Install]\nWantedBy=default.target\n"

    def _peer_target(self, name: str, groups: Iterable[str]) -> File:
        """Of the peer, or the template for all that have no own one."""
        unit = f"peerwatch-{self._fleet}-peer@{name}.target"
        units = "".join(f"Wants={self._kind(group)}@%i.service\n" for group in groups)
        description = f"Description=Peer %i of Peerwatch fleet {self._fleet}, with its sidecar"
        text = f"{_head(unit)}[Unit]\n{description}\nPartOf={self._target}\n{units}"
        return File(self._directory / unit, text)

    def _template(self, group: str, titles: list[str]) -> File:
        name = f"{self._kind(group)}@.service"
        part_of = f"peerwatch-{self._fleet}-peer@%i.target"
        text = f"{_head(name)}{self._unit_section(group, ' %i', part_of)}\n{_service_section(group)}"
        return File(self._directory / name, text, frozenset(titles))

    def _own_file(self, program: Program) -> File:
        """A peer's drop-in, or the whole unit of a program that the fleet has once."""
        unit, read_by = self._unit(program.title), frozenset({program.title})
        if program.group in _PER_PEER:
            text = f"{_WRITTEN}; put changes into another file beside it.\n[Service]\n{self._own(program)}"
            return File(self._directory / f"{unit}.d" / _DROP_IN, text, read_by)
        section = self._unit_section(program.group, "", self._target)
        return File(
            self._directory / unit,
            f"{_head(unit)}{section}\n{_service_section(program.group)}{self._own(program)}",
            read_by,
        )

    def _rotation(self, environment: Mapping[str, str]) -> list[File]:
        """systemd appends to a log and never rotates it."""
        service = self._timer.replace(".timer", ".service")
        what = f"[Unit]\nDescription=Rotation of the logs of Peerwatch fleet {self._fleet}\n"
        timer = f"PartOf={self._target}\n\n[Timer]\nOnCalendar=hourly\nAccuracySec=10min\n"
        command = (sys.executable, "-m", "fleet.processes.log_rotation", str(self._folder.root))
        settings = [f"Environment={quote(f'{name}={environment[name]}')}\n" for name in _PYTHON if name in environment]
        own = f"\n[Service]\nType=oneshot\nExecStart=:{' '.join(map(quote, command))}\n{''.join(settings)}"
        return [
            File(self._directory / self._timer, f"{_head(self._timer)}{what}{timer}"),
            File(self._directory / service, f"{_head(service)}{what}{own}{_HARDENING}"),
        ]

    def _unit_section(self, group: str, instance: str, part_of: str) -> str:
        what = "alert loop" if group == "alerts" else _KINDS.get(group, group)
        return f"""\
[Unit]
Description=Peerwatch {what}{instance} of fleet {self._fleet}
PartOf={part_of}
# The launcher has the backoff and the limit.
StartLimitIntervalSec=0
"""

    def _own(self, program: Program) -> str:
        log = _path(program.log)
        lines = [f"WorkingDirectory={_path(self._folder.root)}"]
        lines += [f"Environment={quote(f'{name}={value}')}" for name, value in sorted(program.environment.items())]
        lines += [f"ExecStart=:{' '.join(map(quote, program.command))}", f"StandardOutput=append:{log}"]
        if program.memory_limit_bytes:
            lines.append(f"MemoryHigh={program.memory_limit_bytes}")
            lines.append(f"MemoryMax={int(program.memory_limit_bytes * _MAX_OVER_HIGH)}")
        return "".join(f"{line}\n" for line in lines)


def quote(text: str) -> str:
    """One word of a unit file, where `%` starts a specifier. Raises ValueError for a character that it cannot hold."""
    if not text.isprintable():
        raise ValueError(f"systemd cannot use {text!r}: it contains an unprintable character")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _service_section(group: str) -> str:
    codes = " ".join(map(str, FINAL_EXIT_CODES))
    # When memory runs out, the kernel kills trainers first, monitoring last.
    hardening = f"{_HARDENING}OOMScoreAdjust=500\n" if group == "peer" else _LIGHT_HARDENING
    return f"""\
[Service]
Type=exec
Restart=always
RestartSec=1
# Wrong configuration, finished run, given up by the launcher.
RestartPreventExitStatus={codes}
SuccessExitStatus={FINISHED_EXIT_CODE}
KillMode=mixed
TimeoutStopSec={_STOP_SECONDS}
{hardening}"""


def _head(unit: str) -> str:
    return f"{_WRITTEN}; put changes into a drop-in: systemctl --user edit {unit}\n"


def _path(path: Path) -> str:
    """A path that takes the rest of its line, where quotes would be part of it."""
    quote(str(path))
    if str(path).endswith(("\\", " ")):
        raise ValueError(f"systemd cannot use {str(path)!r}: it ends with a space or a backslash")
    return str(path).replace("%", "%%")


def _systemctl(*arguments: str, allowed: Collection[int] = (0,)) -> Command:
    return Command(("systemctl", "--user", *arguments), frozenset(allowed), environment=environment())
