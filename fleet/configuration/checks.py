"""Checks a configuration against this machine, beyond what its models validate: one function per subject."""

import errno
import importlib.util
import os
import socket
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psutil

from alerts.secret_references import path_of
from alerts.sizes import show_size
from alerts.startup import prepare
from exporter.machine import read_cores, read_memory
from fleet.configuration.compose import is_path
from fleet.configuration.load import Loaded
from fleet.configuration.model import FleetConfig
from fleet.configuration.peers import PeerPlan, Service, services
from fleet.configuration.validate import suggest
from fleet.configuration.yaml_lines import Location, Problem
from trainer.config import TrainerConfig


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
    loaded.add(_memory(config, loaded.peers, machine))
    loaded.add(find_start_problems(loaded, environment))
    loaded.add(_files(loaded))
    loaded.add(_tasks(loaded))


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
    """The ports that cannot be bound, each with the process that listens there where it is visible."""
    for service in listening:
        try:
            _bind(service.host, service.port)
        except OSError as error:
            yield Problem(service.where, _port_problem(service, error))


def find_free_ports(wanted: list[int]) -> list[int]:
    """For each port itself, or the next above it that can be bound on loopback and is none of the others."""
    found: list[int] = []
    for port in wanted:
        while port in found or not _is_free(port):
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


def _memory(config: FleetConfig, peers: tuple[PeerPlan, ...], machine: Machine) -> Iterator[Problem]:
    total = sum(peer.memory_limit_bytes or 0 for peer in peers)
    has = machine.describe_memory()
    too_large = False
    for peer in peers:
        limit = peer.memory_limit_bytes or 0
        if limit > machine.memory_bytes:
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
        yield Problem(("alerts", *problem.location), problem.message)
    for doubt in prepared.doubts:
        yield Problem(("alerts", *doubt.location), doubt.message, is_warning=True)
    for location, text in alerts.secrets():
        path = path_of(text)
        if path is not None and path.exists():
            yield from _check_permissions(path, ("alerts", *location))
    if alerts.tls is not None and alerts.tls.key.exists():
        yield from _check_permissions(alerts.tls.key, ("alerts", "tls", "key"))


def _check_permissions(path: Path, where: Location) -> Iterator[Problem]:
    """A warning where other users can read a secret."""
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield Problem(where, f"other users can read {path}; run `chmod 600` on it", is_warning=True)


def _places(loaded: Loaded, key: str) -> Iterator[tuple[Location, dict[str, Any]]]:
    """Each place of the file that sets this trainer key, once, with the settings that it belongs to."""
    seen = set()
    for peer in loaded.peers:
        settings = loaded.composition.trainer_settings.get(peer.name, {})
        where = (*peer.where, key) if peer.where and key in peer.overrides else ("trainer", key)
        if key in settings and where not in seen:
            seen.add(where)
            yield where, settings


def _files(loaded: Loaded) -> Iterator[Problem]:
    for where, settings in _places(loaded, "model"):
        model = settings["model"]
        if isinstance(model, str) and is_path(model) and not Path(model).is_dir():
            yield Problem(where, f"no folder {model}; set an existing folder or a Hugging Face id")
    for where, settings in _places(loaded, "rewards"):
        rewards = settings["rewards"] if isinstance(settings["rewards"], list) else []
        for reward in rewards:
            path, colon, _ = str(reward).rpartition(":")
            if colon and not os.access(path, os.R_OK):
                yield Problem(where, f"cannot read {path}; check its path and permissions")


def _tasks(loaded: Loaded) -> Iterator[Problem]:
    if importlib.util.find_spec("reasoning_gym") is None:
        return
    default = TrainerConfig.model_fields["task"].default
    for where, settings in _places(loaded, "task"):
        if settings["task"] != default:
            yield from _task(where, settings["task"])
    for where, settings in _places(loaded, "task_options"):
        if settings["task_options"]:
            yield from _task_options(where, settings.get("task", default), settings["task_options"])


def _task(where: Location, task: object) -> Iterator[Problem]:
    import reasoning_gym.factory

    datasets = reasoning_gym.factory.DATASETS
    if isinstance(task, str) and task not in datasets:
        yield Problem(where, f"unknown reasoning-gym dataset {task}{suggest(task, datasets)}")


def _task_options(where: Location, task: object, options: object) -> Iterator[Problem]:
    import reasoning_gym.factory

    datasets = reasoning_gym.factory.DATASETS
    if task not in datasets or not isinstance(options, dict):
        return
    _, settings = datasets[task]
    known = {one.name for one in fields(settings)}
    for name in options:
        if name not in known:
            yield Problem((*where, name), f"unknown option of {task}{suggest(name, known)}")
