"""The programs of a fleet: command, environment and log of each, whichever service manager runs them; pure."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from exporter.machine.machine_file import MachineDescription
from exporter.machine.push_file import PUSH_FILE
from exporter.watch_file import WATCH_FILE
from fleet.configuration.compose import describe_machine, leaderboard_url, reachable
from fleet.configuration.model import FleetConfig
from fleet.configuration.peers import LOOPBACK, PeerPlan, has_board, has_leaderboard, our_trainers
from fleet.configuration.sources import needs_service
from fleet.configuration.swarm_peers import START_FILE, locate_store
from fleet.configuration.watched import CommandPeer, RlSwarmPeer
from fleet.processes.launch import FINISHED_EXIT_CODE, Policy
from fleet.processes.owner import OWNER_VARIABLE, owner_of
from fleet.state_folder import StateFolder

# Followers start one after another behind the leader, so that imports and model loading do not pile up.
_STAGGER_SECONDS = 2.0

PROMETHEUS_FILE = "prometheus.yaml"


@dataclass(frozen=True)
class Program:
    """One process: `group` is its kind, `name` the peer's name, or the kind if there is only one."""

    group: str
    name: str
    command: tuple[str, ...]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    memory_limit_bytes: int | None = None

    @property
    def title(self) -> str:
        return title(self.group, self.name)


def title(group: str, name: str) -> str:
    """`peer:amber`, `alerts`: the name shown to users."""
    return group if group == name else f"{group}:{name}"


def group_and_name(title: str) -> tuple[str, str]:
    group, _, name = title.partition(":")
    return group, name or group


def plan_programs(
    config: FleetConfig,
    peers: tuple[PeerPlan, ...],
    folder: StateFolder,
    owner: str,
    *,
    base: Path,
    prometheus: Path | None = None,
    platform: str = sys.platform,
    environment_files: Mapping[str, Path] = MappingProxyType({}),
) -> list[Program]:
    """All programs, in their start order; `owner` is this run's mark on its processes, `base` the file's folder.

    `prometheus` is the path of Prometheus if the fleet runs one; `environment_files` by group, for programs that start
    without a shell's environment.
    """
    ours = our_trainers(peers)
    planned = [_leaderboard(config, ours, folder)] if has_leaderboard(config, peers) else []
    reads_sources = needs_service(config.sources, (peer.watched for peer in peers))
    machine = describe_machine(config, peers, folder, base)
    planned.append(_alerts(folder))
    if prometheus:
        planned.append(_prometheus(config, folder, prometheus))
    planned += _login_servers(peers, base, folder)
    for peer in peers:
        if peer.watched is None:
            planned.append(_trainer(config, ours, folder, ours.index(peer), platform))
        elif isinstance(peer.watched, CommandPeer):
            planned.append(_command(peer.watched, base, folder))
        elif isinstance(peer.watched, RlSwarmPeer):
            planned.append(_rl_swarm(peer, folder, platform))
        planned.append(
            _sidecar(
                config,
                peer,
                folder,
                machine=machine,
                has_leaderboard=has_board(config, peers),
                has_sources=reads_sources and peer.watched is not None,
            )
        )
    if config.push is not None and peers:
        planned.append(_push(folder))
    limits = {peer.name: peer.memory_limit_bytes for peer in peers}
    return [
        Program(
            one.group,
            one.name,
            _launched(config, one, folder, environment_files.get(one.group)),
            folder.log(one.group, one.name),
            one.environment | {OWNER_VARIABLE: owner_of(owner, one.group, one.name)},
            limits[one.name] if one.group == "peer" else None,
        )
        for one in planned
    ]


@dataclass(frozen=True)
class _Planned:
    group: str
    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    launch_options: tuple[str, ...] = ()


def _launched(
    config: FleetConfig, one: _Planned, folder: StateFolder, environment_file: Path | None
) -> tuple[str, ...]:
    policy = Policy(
        config.restart.first_delay,
        config.restart.longest_delay,
        config.restart.stable_after,
        config.restart.limit,
        config.restart.window,
    )
    return (
        *(sys.executable, "-m", "fleet.processes.launch", "--record", str(folder.launch_record(one.group, one.name))),
        *("--first-delay", f"{policy.first_delay:g}", "--longest-delay", f"{policy.longest_delay:g}"),
        *("--stable-after", f"{policy.stable_after:g}", "--limit", str(policy.limit)),
        *("--window-seconds", f"{policy.window:g}"),
        *(("--environment-file", str(environment_file)) if environment_file else ()),
        *one.launch_options,
        "--",
        *one.command,
    )


def _trainer(
    config: FleetConfig, peers: tuple[PeerPlan, ...], folder: StateFolder, index: int, platform: str
) -> _Planned:
    peer = peers[index]
    run_folder = folder.peer(peer.name)
    options: tuple[str, ...] = ("--stagger", f"{_STAGGER_SECONDS * index:g}")
    if not peer.leads and not config.swarm.initial_peers:
        options = (*options, *_behind_leader(config, peers))
    return _Planned(
        "peer",
        peer.name,
        _python(
            "trainer", "--config", str(run_folder / "trainer.yaml"), "--finished-exit-code", str(FINISHED_EXIT_CODE)
        ),
        trainer_environment(peer.threads, platform),
        options,
    )


def _command(peer: CommandPeer, base: Path, folder: StateFolder) -> _Planned:
    return _Planned(
        "peer",
        peer.name,
        _python(
            *("fleet.processes.command", "--run-dir", str(folder.peer(peer.name))),
            *("--folder", str(base / peer.folder.expanduser()), "--"),
            *peer.command,
        ),
        {"PYTHONUNBUFFERED": "1", **peer.environment},
    )


def _rl_swarm(peer: PeerPlan, folder: StateFolder, platform: str) -> _Planned:
    start = folder.peer(peer.name) / START_FILE
    command = _python("fleet.processes.rl_swarm", "--start", str(start))
    return _Planned("peer", peer.name, command, trainer_environment(peer.threads, platform))


def _login_servers(peers: tuple[PeerPlan, ...], base: Path, folder: StateFolder) -> list[_Planned]:
    """One for each checkout and port: its trainers submit what they earn through it."""
    found: dict[tuple[Path, int], _Planned] = {}
    for peer in peers:
        if not isinstance(peer.watched, RlSwarmPeer):
            continue
        checkout, port = peer.watched.locate(base), peer.watched.login_port
        name = str(port) if any(other != (checkout, port) for other in found) else "login"
        options = ("--checkout", str(checkout), "--port", str(port), "--store", str(locate_store(folder, checkout)))
        command = _python("fleet.processes.login_server", *options)
        found.setdefault((checkout, port), _Planned("login", name, command, {"PYTHONUNBUFFERED": "1"}))
    return list(found.values())


def trainer_environment(threads: int, platform: str) -> dict[str, str]:
    """Keeps trainers on one machine from competing for cores, and third parties quiet."""
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "WANDB_MODE": "offline",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
    if platform == "darwin":
        # Metal may otherwise take all memory before it fails, and macOS swaps long before.
        environment["PYTORCH_MPS_HIGH_WATERMARK_RATIO"] = "1.0"
    else:
        # Understood by libgomp: threads that wait sleep instead of spinning.
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return environment


def _behind_leader(config: FleetConfig, peers: tuple[PeerPlan, ...]) -> tuple[str, str]:
    return "--wait-for", f"{reachable(config.swarm.host)}:{peers[0].trainer_port}"


def _sidecar(
    config: FleetConfig,
    peer: PeerPlan,
    folder: StateFolder,
    *,
    machine: MachineDescription | None,
    has_leaderboard: bool,
    has_sources: bool,
) -> _Planned:
    run_folder = folder.peer(peer.name)
    limit = peer.memory_limit_bytes
    outside = f"{config.outside.host}:{machine.peers[peer.name]}" if config.outside and machine else None
    return _Planned(
        "sidecar",
        peer.name,
        _python(
            *("exporter", "--run-dir", str(run_folder), "--listen", f"{config.host}:{peer.sidecar_port}"),
            *(("--leaderboard-url", leaderboard_url(config)) if has_leaderboard else ()),
            *(("--sources-url", leaderboard_url(config)) if has_sources else ()),
            *(("--watch", str(run_folder / WATCH_FILE)) if peer.watched else ()),
            *(("--machine", str(folder.machine)) if machine else ()),
            *(("--outside", outside) if outside else ()),
            *("--interval-seconds", f"{config.sidecar_interval:g}"),
            *(("--memory-limit-bytes", str(limit)) if limit else ()),
        ),
        _LIGHT,
    )


def _push(folder: StateFolder) -> _Planned:
    return _Planned("push", "push", _python("exporter.machine.push", "--config", str(folder.push / PUSH_FILE)), _LIGHT)


def _leaderboard(config: FleetConfig, peers: tuple[PeerPlan, ...], folder: StateFolder) -> _Planned:
    return _Planned(
        "leaderboard",
        "leaderboard",
        _python("exporter.leaderboard", "--config", str(folder.leaderboard / "leaderboard.yaml")),
        _LIGHT,
        _behind_leader(config, peers) if peers and not config.swarm.initial_peers else (),
    )


def _alerts(folder: StateFolder) -> _Planned:
    command = _python("alerts", "--config", str(folder.alerts / "alerts.yaml"))
    return _Planned("alerts", "alerts", command, _LIGHT)


def _prometheus(config: FleetConfig, folder: StateFolder, program: Path) -> _Planned:
    kept = config.prometheus
    command = (
        str(program),
        f"--config.file={folder.prometheus / PROMETHEUS_FILE}",
        f"--storage.tsdb.path={folder.prometheus / 'data'}",
        f"--storage.tsdb.retention.time={kept.retention:.0f}s",
        f"--storage.tsdb.retention.size={kept.retention_size}B",
        f"--web.listen-address={LOOPBACK}:{config.ports.prometheus}",
        "--log.level=warn",
    )
    # The alert loop is its service discovery.
    options = ("--wait-for", f"{reachable(config.page_host)}:{config.ports.alerts}")
    return _Planned("prometheus", "prometheus", command, {}, options)


def _python(*module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *module)


_LIGHT = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
