"""Which peers the machines elsewhere have: what each said last, kept over restarts."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from alerts.config import AlertsConfig
from alerts.machines.joined import read_joined
from alerts.scraping.target import Machine, Target
from exporter.run_folder import read_bounded, write_atomically

FILE = "machines.json"
MAX_BYTES = 1 << 22
# Of a peer whose page is pushed.
NO_PORT = 0

log = logging.getLogger(__name__)

# The port of each peer's sidecar, by machine and peer.
Membership = Mapping[str, Mapping[str, int]]


def read_membership(state_dir: Path) -> Membership:
    """What was kept; nothing where there is no such file, or none that can be read."""
    try:
        found = json.loads(read_bounded(state_dir / FILE, MAX_BYTES))
        return {str(name): {str(peer): int(port) for peer, port in peers.items()} for name, peers in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s is not used: %s; the machines are asked again", state_dir / FILE, error)
        return {}


def write_membership(state_dir: Path, membership: Membership) -> None:
    """Raises OSError."""
    write_atomically(state_dir / FILE, json.dumps(membership).encode(), mode=0o600)


def with_machines(config: AlertsConfig, membership: Membership) -> AlertsConfig:
    """The configuration with the machines that joined, and a target for each peer of each machine.

    A peer whose name is taken, here or on a machine that comes before, is called `peer@machine`.
    """
    listed = {machine.name for machine in config.machines}
    joined = [machine for machine in read_joined(config.state_dir) if machine.name not in listed]
    machines = (*config.machines, *joined)
    taken = {target.peer for target in config.targets}
    found: list[Target] = []
    for machine in machines:
        for peer, port in membership.get(machine.name, {}).items():
            name = peer if peer not in taken else f"{peer}@{machine.name}"
            if name not in taken:
                taken.add(name)
                found.append(_make_target(machine, name, port))
    return config.model_copy(update={"targets": (*config.targets, *found), "machines": machines})


def _make_target(machine: Machine, peer: str, port: int) -> Target:
    if machine.pushes:
        return Target(peer=peer, machine=machine.name, pushed=True, restartable=False)
    parts = urlsplit(machine.url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return Target(
        peer=peer,
        url=urlunsplit((parts.scheme, f"{host}:{port}", "/metrics", "", "")),
        machine=machine.name,
        login=machine.login,
        certificate=machine.certificate,
        restartable=False,
    )


def locator(config: AlertsConfig) -> Callable[[str, str], bool]:
    """Whether a peer, by name, is on a host, by name: on a machine elsewhere, or here."""
    machine_of = {target.peer: target.machine for target in config.targets}
    elsewhere = {machine.name for machine in config.machines}
    return lambda peer, host: machine_of.get(peer, "") == (host if host in elsewhere else "")


class Roster:
    """What the machines say of their peers, as it comes; `on_change` is called once others are to be watched.

    One that says something else each time would keep the watcher starting again: what a known machine says counts once
    `pause_seconds` have passed since the start. `clock` never steps.
    """

    def __init__(
        self,
        state_dir: Path,
        known: Membership,
        on_change: Callable[[], None],
        *,
        pause_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._state_dir = state_dir
        self._known = dict(known)
        self._on_change = on_change
        self._clock = clock
        self._open_at = clock() + pause_seconds

    def knows(self, machines: Iterable[str]) -> bool:
        """Whether each of these machines has said which peers it has."""
        return self._known.keys() >= set(machines)

    def note(self, machine: str, peers: Mapping[str, int]) -> None:
        """Takes up what a machine says, and keeps it."""
        before = self._known.get(machine)
        if peers == before or (before is not None and self._clock() < self._open_at):
            return
        found = {**self._known, machine: dict(peers)}
        try:
            write_membership(self._state_dir, found)
        except OSError as error:
            log.warning("cannot write the peers of the machines: %s", error)
            return
        log.info("machine %s has the peers %s", machine, ", ".join(peers))
        self._known = found
        self._on_change()
