"""Checks a configuration against this machine, beyond what its models validate: one function per subject."""

import errno
import os
import re
import socket
import ssl
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from alerts.rules import discover
from alerts.secret_references import path_of
from alerts.sizes import show_size
from alerts.startup import prepare
from exporter.serving.credentials import read_credentials
from exporter.serving.trust import trust
from exporter.system.machine import read_cores, read_memory
from fleet.configuration.load import Loaded
from fleet.configuration.model import FleetConfig
from fleet.configuration.paths import find_command_problems, find_state_folder_problems, find_state_problems
from fleet.configuration.peers import PeerPlan, Service, services
from fleet.configuration.swarm_checks import find_swarm_problems
from fleet.configuration.trainer_checks import find_trainer_problems
from fleet.configuration.yaml_lines import Location, Problem
from trainer.swarm.reachability import has_listener

# Python alone, without torch, needs a good part of it.
_LEAST_MEMORY_BYTES = 32 << 20
_VARIABLE = re.compile(r"\$\{[A-Za-z_]\w*\}")


@dataclass(frozen=True)
class Machine:
    """This machine's memory and CPU cores; `limited_by` is who gives less memory than the hardware has."""

    memory_bytes: int
    cores: int
    limited_by: str = ""

    @classmethod
    def here(cls) -> "Machine":
        memory = read_memory()
        return cls(memory.total_bytes, read_cores().count, memory.limit.origin if memory.limit else "")

    def describe_memory(self) -> str:
        return f"this machine has {show_size(self.memory_bytes)}" + (f" ({self.limited_by})" if self.limited_by else "")


def check(loaded: Loaded, machine: Machine, *, is_running: bool, environment: Mapping[str, str] = os.environ) -> None:
    """Adds every problem to `loaded`; with `is_running`, this fleet is up and holds its ports itself.

    `environment` resolves the secret references of the routes, as in the alert loop.
    """
    config = loaded.config
    if config is None:
        return
    listening = list(services(config, loaded.peers, with_prometheus=loaded.prometheus is not None))
    twice = list(_duplicate_ports(listening))
    loaded.add(_names(loaded.peers))
    loaded.add(twice)
    if not twice and not is_running:
        loaded.add(taken_ports(listening))
    loaded.add(find_state_problems(loaded.folder.root))
    loaded.add(find_state_folder_problems(loaded))
    loaded.add(find_command_problems(loaded, environment.get("PATH")))
    loaded.add(_memory(config, loaded.peers, machine))
    loaded.add(find_start_problems(loaded, environment))
    loaded.add(_outside(loaded))
    loaded.add(_push(loaded))
    loaded.add(_watched_nothing(loaded))
    loaded.add(_restarts(loaded))
    loaded.add(_unexpanded(loaded))
    loaded.add(find_trainer_problems(loaded))
    loaded.add(find_swarm_problems(loaded))


def _names(peers: tuple[PeerPlan, ...]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for peer in peers:
        # Names become folders, and the file systems of macOS ignore case.
        if peer.name.casefold() in seen:
            where = (*peer.where, "name") if peer.where else ("peers",)
            yield Problem(where, f"duplicate peer name {peer.name}; names must differ in more than case")
        seen[peer.name.casefold()] = peer.name


def _duplicate_ports(listening: list[Service]) -> Iterator[Problem]:
    seen: dict[int, Service] = {}
    for service in listening:
        if service.port > 65535:
            yield Problem(
                service.where, f"port {service.port} of the {service.title} is above 65535; choose a lower one"
            )
        other = seen.setdefault(service.port, service)
        if other is not service:
            where = max(service.where, other.where, key=_specificity)
            yield Problem(
                where, f"port {service.port} is set for the {other.title} and the {service.title}; change one"
            )


def _specificity(where: Location) -> tuple[bool, int]:
    """A key set for one peer takes precedence over a key set for all."""
    return where[0] == "peers", len(where)


def taken_ports(listening: list[Service]) -> Iterator[Problem]:
    """The ports that cannot be bound, each with the process that listens there where it is visible.

    One that only a connection to elsewhere holds is free soon: trainers wait for it, and services are started again.
    """
    for service in listening:
        try:
            _bind(service.host, service.port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or has_listener(service.port):
                yield Problem(service.where, _port_problem(service, error))


def find_free_ports(wanted: list[int], take: Callable[[int], bool]) -> list[int]:
    """For each port itself, or the next above it that can be bound on loopback, is none of the others, and is taken.

    `take` says whether nobody else has taken a port who does not listen on it yet.
    """
    found: list[int] = []
    for port in wanted:
        while port in found or not _is_free(port) or not take(port):
            port += 1
        found.append(port)
    return found


def _is_free(port: int) -> bool:
    try:
        _bind("127.0.0.1", port)
    except OSError:
        return False
    return True


def _bind(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
    if sys.platform == "darwin":
        # There SO_REUSEADDR lets a bind to 127.0.0.1 pass beside a listener on 0.0.0.0.
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((host, port)) == 0:
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _port_problem(service: Service, error: OSError) -> str:
    what = f"port {service.port} of the {service.title}"
    if error.errno == errno.EADDRINUSE:
        return f"{what} is in use{_owner(service.port)}; choose another port, or stop that process"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{what} cannot be bound: this machine has no address {service.host}; use 127.0.0.1 or 0.0.0.0"
    if error.errno == errno.EACCES:
        return f"{what} requires root; choose a port above 1023"
    return f"{what} cannot be bound: {error.strerror}"


def _owner(port: int) -> str:
    """` by NAME (pid N)` for a process of this user; the sockets of other users are not visible."""
    for process in psutil.process_iter():
        try:
            connections = process.net_connections("inet")
            if any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections):
                return f" by {process.name()} (pid {process.pid})"
        except (psutil.Error, OSError):
            continue
    return ""


def _watched_nothing(loaded: Loaded) -> Iterator[Problem]:
    if loaded.config is not None and not loaded.peers and not loaded.config.watch:
        yield Problem(("peers",), "no peers, and no machines in `watch`; set one of them")


def _memory(config: FleetConfig, peers: tuple[PeerPlan, ...], machine: Machine) -> Iterator[Problem]:
    total = sum(peer.memory_limit_bytes or 0 for peer in peers)
    has = machine.describe_memory()
    too_large = False
    for peer in peers:
        limit = peer.memory_limit_bytes or 0
        if peer.memory_limit_bytes is not None and limit < _LEAST_MEMORY_BYTES:
            message = f"no trainer starts with less than {show_size(_LEAST_MEMORY_BYTES)}; set a higher limit"
            yield Problem(_limit_key(config, peer), message)
        elif limit > machine.memory_bytes:
            too_large = True
            yield Problem(_limit_key(config, peer), f"{show_size(limit)} per peer; {has}; set a lower limit")
    if total > machine.memory_bytes and not too_large:
        where = ("memory_limit",) if config.memory_limit else ("peers",)
        count = len(peers)
        yield Problem(where, f"{count} peers with {show_size(total)} in total; {has}; set fewer peers or a lower limit")


def _limit_key(config: FleetConfig, peer: PeerPlan) -> Location:
    if peer.where and isinstance(config.peers, list) and peer.memory_limit_bytes != config.memory_limit:
        return (*peer.where, "memory_limit")
    return ("memory_limit",)


def find_start_problems(loaded: Loaded, environment: Mapping[str, str] = os.environ) -> Iterator[Problem]:
    """What prevents the alert loop from starting, and secrets that other users can read; sends nothing."""
    alerts = loaded.composition.alerts
    if alerts is None:
        return
    prepared = prepare(alerts, environment)
    for problem in prepared.problems:
        yield Problem(_in_file(problem.location), problem.message)
    for doubt in prepared.doubts:
        yield Problem(_in_file(doubt.location), doubt.message, is_warning=True)
    for location, text in alerts.secrets():
        path = path_of(text)
        if path is not None and os.path.isfile(path):
            yield from _check_permissions(path, _in_file(location))
    if alerts.tls is not None and os.path.isfile(alerts.tls.key):
        yield from _check_permissions(alerts.tls.key, ("alerts", "tls", "key"))
    if alerts.standby_of is not None and os.path.exists(alerts.standby_of.token_file):
        yield from _check_permissions(alerts.standby_of.token_file, ("alerts", "standby_of", "token_file"))


def _in_file(location: Location) -> Location:
    """Where the file has what the alert loop's configuration has there."""
    return ("watch", *location[1:]) if location[0] == "machines" else ("alerts", *location)


def _outside(loaded: Loaded) -> Iterator[Problem]:
    """What keeps the sidecars from listening for who comes from outside."""
    machine = loaded.composition.machine
    if machine is None or loaded.config is None or loaded.config.outside is None:
        return
    for name in ("certificate", "key", "login"):
        path = getattr(machine, name)
        if not os.path.isfile(path):
            yield Problem(("outside", name), f"{path}: no such file; `peerwatch join` makes it")
        elif name != "certificate":
            yield from _check_permissions(path, ("outside", name))
    try:
        if machine.login and os.path.isfile(machine.login):
            read_credentials(machine.login)
    except (OSError, ValueError) as error:
        yield Problem(("outside", "login"), f"{machine.login}: {getattr(error, 'strerror', None) or error}")


def _push(loaded: Loaded) -> Iterator[Problem]:
    """What keeps the sidecars' pages from being pushed."""
    push = loaded.composition.push
    if push is None:
        return
    again = "`peerwatch join … --push` makes it"
    try:
        read_credentials(push.login)
        yield from _check_permissions(push.login, ("push", "login"))
    except FileNotFoundError:
        yield Problem(("push", "login"), f"{push.login}: no such file; {again}")
    except (OSError, ValueError) as error:
        yield Problem(("push", "login"), f"{push.login}: {getattr(error, 'strerror', None) or error}")
    for one, where in zip(push.each(), (("push", "certificate"), ("push", "standby", "certificate")), strict=False):
        try:
            trust(one.certificate)
        except FileNotFoundError:
            yield Problem(where, f"{one.certificate}: no such file; {again}")
        except ssl.SSLError:
            yield Problem(where, f"{one.certificate}: no PEM certificate; {again}")
        except OSError as error:
            yield Problem(where, f"{one.certificate}: {error.strerror}")


def _restarts(loaded: Loaded) -> Iterator[Problem]:
    """Rules that are to restart peers, beside peers that they leave alone."""
    alerts = loaded.composition.alerts
    if alerts is None:
        return
    left = [target.peer for target in alerts.targets if not target.restartable]
    for name in discover() if left else ():
        if alerts.rules.of(name).restart:
            message = f"does not restart {', '.join(left)}: an attached trainer is restarted by whoever started it"
            yield Problem(("alerts", "rules", name, "restart"), message, is_warning=True)


def _unexpanded(loaded: Loaded) -> Iterator[Problem]:
    """Variables where none is replaced."""
    for location, text in _texts(loaded.document.data, ()):
        is_secret = location[-1] in ("url", "password") and location[0] == "alerts"
        if _VARIABLE.search(text) and not is_secret and "task_options" not in location:
            yield Problem(location, "${…} is replaced in the URLs and the password of `alerts` only; write the value")


def _texts(data: Any, location: Location) -> Iterator[tuple[Location, str]]:
    if isinstance(data, str):
        yield location, data
    elif isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _texts(value, (*location, key))


def _check_permissions(path: Path, where: Location) -> Iterator[Problem]:
    """A warning where other users can read a secret."""
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield Problem(where, f"other users can read {path}; run `chmod 600` on it", is_warning=True)
