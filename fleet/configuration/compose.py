"""Completes the file's sections with the fleet's own values and makes each process's configuration; pure."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from alerts.config import AlertsConfig
from exporter.leaderboard.config import LeaderboardConfig
from exporter.machine.machine_file import MachineDescription
from exporter.machine.push_file import PushDescription
from exporter.serving.host_names import is_loopback
from fleet.configuration.alert_paths import describe_watched, resolve_paths
from fleet.configuration.elsewhere import PushedTo, name_of_this_machine
from fleet.configuration.model import FleetConfig
from fleet.configuration.peers import LOOPBACK, PeerPlan, has_board, has_leaderboard, our_trainers
from fleet.configuration.sources import find_contract_mistake, list_dht_addresses, plan_sources
from fleet.configuration.swarm_peers import describe_in_swarm, describe_start
from fleet.configuration.validate import Mistake, keys_of, suggest, validate
from fleet.configuration.values import check_ipv4
from fleet.configuration.watched import AttachedPeer, RlSwarmPeer, WatchedPeer, describe_watch
from fleet.configuration.yaml_lines import Location, Problem
from fleet.state_folder import StateFolder
from trainer.config import TrainerConfig, is_file_task, is_path, judge_grpo
from trainer.grpo_settings.values import Setting, judge_together
from trainer.protocol import STAGES

# Keys of the models that Peerwatch sets, so that the file may not.
_TRAINER_KEYS = frozenset({"name", "run_dir", "swarm"})
_LEADERBOARD_KEYS = frozenset(
    {
        *("listen", "database", "initial_peers", "bootnodes", "identity_path", "names", "sources", "identities"),
        *("checkouts", "signed", "leaders", "members", "shards"),
    }
)
_ALERTS_KEYS = frozenset({"fleet", "state_dir", "listen", "targets", "machines", "leaderboard_url"})

SEEDS = 2**32

# Enough to join our own swarm while some of them are down.
MAX_INITIAL_PEERS = 8
# Who takes over from a leader that is gone, in the file's order.
MAX_LEADERS = 16

# Placeholder for a peer's id while a file is checked before its identities exist.
ANY_PEER_ID = "Qm" + "1" * 44


@dataclass
class Composition:
    """The configuration of every process, and the problems found in the file."""

    trainers: dict[str, TrainerConfig] = field(default_factory=dict)
    # Each trainer's settings as in the file, valid or not.
    trainer_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    # How the trainers that are not ours are found and read, by peer name.
    watches: dict[str, dict[str, Any]] = field(default_factory=dict)
    # How the instances of rl-swarm are started, by peer name.
    starts: dict[str, dict[str, Any]] = field(default_factory=dict)
    # None in a fleet without trainers of ours and without sources.
    leaderboard: LeaderboardConfig | None = None
    alerts: AlertsConfig | None = None
    # What the sidecars tell watchers elsewhere; None where only this machine reaches them.
    machine: MachineDescription | None = None
    # Where the sidecars' pages are pushed to, if anywhere.
    push: PushDescription | None = None
    problems: list[Problem] = field(default_factory=list)


def compose(
    config: FleetConfig,
    peers: tuple[PeerPlan, ...],
    folder: StateFolder,
    base: Path,
    peer_ids: Mapping[str, str] | None = None,
) -> Composition:
    """Relative paths in the file are resolved against `base`; `peer_ids` are by peer name, once they exist."""
    ours = our_trainers(peers)
    ids = peer_ids or {peer.name: ANY_PEER_ID for peer in ours}
    composition = Composition()
    for peer in ours:
        _add_trainer(composition, config, peer, folder, base, _Swarm.of(config, ours, ids))
    for peer in peers:
        if peer.watched is not None:
            _add_watch(composition, peer, peer.watched, folder, base)
    if has_leaderboard(config, peers):
        _add_leaderboard(composition, config, ours, folder, ids)
    _add_alerts(composition, config, peers, folder, base)
    composition.machine = describe_machine(config, peers, folder, base)
    composition.push = describe_push(config, peers, base)
    composition.problems = list(dict.fromkeys(composition.problems))
    return composition


def reachable(host: str) -> str:
    """The address for reaching a service bound to `host` from this machine."""
    return "127.0.0.1" if host == "0.0.0.0" else host


def sidecar_url(config: FleetConfig, peer: PeerPlan) -> str:
    return f"http://{reachable(config.host)}:{peer.sidecar_port}"


def leaderboard_url(config: FleetConfig) -> str:
    return f"http://{reachable(config.host)}:{config.ports.leaderboard}"


def alerts_url(config: FleetConfig) -> str:
    scheme = "https" if config.alerts.get("tls") else "http"
    return f"{scheme}://{reachable(config.page_host)}:{config.ports.alerts}"


def prometheus_url(config: FleetConfig) -> str:
    return f"http://{LOOPBACK}:{config.ports.prometheus}"


def describe_machine(
    config: FleetConfig, peers: tuple[PeerPlan, ...], folder: StateFolder, base: Path
) -> MachineDescription | None:
    """What the sidecars tell watchers elsewhere; None where only this machine reaches them."""
    outside = config.outside
    if outside is not None:
        ports = {peer.name: outside.port + index for index, peer in enumerate(peers)}
        files = {name: base / path.expanduser() for name, path in dict(outside).items() if isinstance(path, Path)}
        return MachineDescription(outside.machine, ports, (folder.root,), **files)
    if is_loopback(config.host) and config.push is None:
        return None
    name = config.push.machine if config.push else name_of_this_machine()
    return MachineDescription(name, {peer.name: peer.sidecar_port for peer in peers}, (folder.root,))


def describe_push(config: FleetConfig, peers: tuple[PeerPlan, ...], base: Path) -> PushDescription | None:
    """Where the sidecars' pages are pushed to; None for nowhere, and without peers."""
    if config.push is None or not peers:
        return None
    push = config.push
    standby = push.standby or PushedTo(watcher=push.watcher)

    def locate(path: Path | None) -> Path | None:
        return base / path.expanduser() if path else None

    return PushDescription(
        push.watcher,
        push.machine,
        base / push.login.expanduser(),
        reachable(config.host),
        {peer.name: peer.sidecar_port for peer in peers},
        locate(push.certificate),
        standby.watcher if push.standby else None,
        locate(standby.certificate),
    )


def _addresses(config: FleetConfig, peers: tuple[PeerPlan, ...], ids: Mapping[str, str]) -> dict[str, str]:
    host = reachable(config.swarm.host)
    return {peer.name: f"/ip4/{host}/tcp/{peer.trainer_port}/p2p/{ids[peer.name]}" for peer in peers}


@dataclass(frozen=True)
class _Swarm:
    """Where our peers listen, by name, and who else belongs to their swarm."""

    addresses: Mapping[str, str]
    membership: Mapping[str, Any]

    @classmethod
    def of(cls, config: FleetConfig, ours: tuple[PeerPlan, ...], ids: Mapping[str, str]) -> "_Swarm":
        own = [ids[peer.name] for peer in ours]
        is_own_swarm = not config.swarm.initial_peers
        # Nobody signs in the swarms of others, unless the file says so.
        is_signed = config.swarm.is_signed if ours else bool(config.swarm.signed)
        membership = {
            "signed": is_signed,
            "leaders": config.swarm.leaders or (own[:MAX_LEADERS] if is_own_swarm else []),
            "shards": config.swarm.shards,
            "members": [*own, *config.swarm.members] if is_signed else [],
        }
        return cls(_addresses(config, ours, ids), membership)


def _add_trainer(
    composition: Composition,
    config: FleetConfig,
    peer: PeerPlan,
    folder: StateFolder,
    base: Path,
    swarm: "_Swarm",
) -> None:
    settings = _with_paths(_merge(config.trainer, peer.overrides), base)
    composition.trainer_settings[peer.name] = settings
    # Each peer gets the addresses of all others: a restarted leader must find the swarm that it led.
    others = [address for name, address in swarm.addresses.items() if name != peer.name]
    data = {
        **settings,
        "seed": _seed(settings, peer),
        "name": peer.name,
        "run_dir": folder.peer(peer.name),
        "swarm": {
            "host": config.swarm.host,
            "port": peer.trainer_port,
            "announce": list(peer.announce),
            "initial_peers": config.swarm.initial_peers or others[:MAX_INITIAL_PEERS],
            "leader": peer.leads,
            **swarm.membership,
        },
    }
    mistakes = [Mistake((key,), "set by Peerwatch; remove it") for key in settings if key in _TRAINER_KEYS]
    stages = settings.get("stages_per_round")
    if config.swarm.initial_peers and isinstance(stages, int) and stages > STAGES:
        remedy = f"set at most {STAGES}, or leave swarm.initial_peers empty for a swarm of your own"
        mistakes.append(Mistake(("stages_per_round",), f"rl-swarm's peers end at a stage {STAGES}; {remedy}"))
    result = validate(TrainerConfig, data, top=keys_of(TrainerConfig) - _TRAINER_KEYS)
    if isinstance(result, TrainerConfig):
        composition.trainers[peer.name] = result
    else:
        of_grpo = _grpo_mistakes(settings)
        mistakes += [one for one in result if not of_grpo or one.location not in (("grpo",), ())] + of_grpo
    composition.problems += [_of_trainer(mistake, peer) for mistake in mistakes]


def _seed(settings: Mapping[str, Any], peer: PeerPlan) -> Any:
    """A seed of the peer's own, whatever the others are called: peers of one seed sample and earn alike."""
    given = settings.get("seed", 0)
    if "seed" in peer.overrides or type(given) is not int or not 0 <= given < SEEDS:
        return given
    return (given + zlib.crc32(peer.name.encode())) % SEEDS


def _add_watch(composition: Composition, peer: PeerPlan, watched: WatchedPeer, folder: StateFolder, base: Path) -> None:
    watch = describe_watch(watched, base, folder.log("peer", peer.name))
    composition.watches[peer.name] = watch | describe_in_swarm(watched, base, folder)
    if isinstance(watched, RlSwarmPeer):
        composition.starts[peer.name] = describe_start(watched, base, folder)
    if watched.contract is not None and (wrong := find_contract_mistake(watched.contract)):
        composition.problems.append(Problem((*(peer.where or ()), "contract"), wrong))
    for index, name, mistake in watched.find_reader_mistakes(base):
        composition.problems.append(Problem((*(peer.where or ()), "progress", index, name), mistake))


def _grpo_mistakes(settings: Mapping[str, Any]) -> list[Mistake]:
    """Every invalid GRPOConfig field with its location; the model names them without."""
    options = settings.get("grpo")
    if not isinstance(options, dict):
        return []
    values, found = judge_grpo(options)
    if not found:
        rewards, default = settings.get("rewards"), Setting()
        setting = Setting(
            str(settings.get("model", default.model)),
            len(rewards) if isinstance(rewards, list) else default.rewards,
            has_adapters=settings.get("lora") is not None,
            is_on_cpu=settings.get("device") in ("cpu", "mps"),
        )
        found = list(judge_together(values, setting))
    return [Mistake(("grpo", name), message) for name, message in found]


def _of_trainer(mistake: Mistake, peer: PeerPlan) -> Problem:
    """The mistake's location in the file: at the peer if it overrides that key, else in the section for all peers."""
    location = mistake.location
    if peer.where is None or not holds(peer.overrides, location):
        return Problem(("trainer", *location), mistake.message)
    message = mistake.message
    if message.startswith("unknown key"):
        own = {"kind", "name", "memory_limit", "trainer_port", "sidecar_port", "announce"}
        known = keys_of(TrainerConfig, location[:-1]) - _TRAINER_KEYS
        message = f"unknown key{suggest(location[-1], known | own if len(location) == 1 else known)}"
    return Problem((*peer.where, *location), message)


def holds(data: Any, location: Location) -> bool:
    """Whether a peer's own keys set the value at a location: mappings merge, other values are replaced."""
    for part in location:
        if not isinstance(data, dict):
            return True
        if part not in data:
            return False
        data = data[part]
    return bool(location)


def _merge(defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings merge key by key, so that a peer can change one GRPO field; its own task drops the common options.

    An empty section of a peer changes nothing.
    """
    merged = dict(defaults)
    if "task" in overrides:
        merged.pop("task_options", None)
    for key, value in overrides.items():
        below = merged.get(key)
        if value is None and isinstance(below, dict):
            continue
        merged[key] = {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _with_paths(settings: dict[str, Any], base: Path) -> dict[str, Any]:
    """Resolves relative paths against the file's folder; other values stay as they are."""
    settings = dict(settings)
    model, rewards, task = settings.get("model"), settings.get("rewards"), settings.get("task")
    if isinstance(task, str) and is_file_task(task):
        settings["task"] = str(base / Path(task).expanduser())
    if isinstance(model, str) and is_path(model):
        settings["model"] = str(base / Path(model).expanduser())
    if isinstance(rewards, list):
        settings["rewards"] = [
            str(base / Path(reward).expanduser()) if isinstance(reward, str) and ".py:" in reward else reward
            for reward in rewards
        ]
    return settings


def _add_leaderboard(
    composition: Composition,
    config: FleetConfig,
    peers: tuple[PeerPlan, ...],
    folder: StateFolder,
    ids: Mapping[str, str],
) -> None:
    read = plan_sources(config.sources, composition.watches, has_ours=bool(peers))
    swarm = _Swarm.of(config, peers, ids)
    data = {
        **config.leaderboard,
        "listen": f"{config.host}:{config.ports.leaderboard}",
        "database": folder.leaderboard / "board.sqlite",
        # Any of our own peers will do: the board must not depend on the leader.
        "initial_peers": [*swarm.addresses.values(), *config.swarm.initial_peers]
        if peers
        else list_dht_addresses(config.sources),
        **swarm.membership,
        "names": {ids[peer.name]: peer.name for peer in peers},
        **read.settings,
    }
    problems = _section(composition, "leaderboard", LeaderboardConfig, data, config.leaderboard, _LEADERBOARD_KEYS)
    # That nothing is left to read follows from a source's own mistake.
    composition.problems += [*read.problems, *(one for one in problems if one.location[1:] or not read.problems)]


def _add_alerts(
    composition: Composition, config: FleetConfig, peers: tuple[PeerPlan, ...], folder: StateFolder, base: Path
) -> None:
    given = dict(config.alerts)
    try:
        check_ipv4(str(given.pop("host", config.host)))
    except ValueError as error:
        composition.problems.append(Problem(("alerts", "host"), str(error)))
        return
    data = {
        **resolve_paths(given, base),
        "fleet": config.fleet,
        "state_dir": folder.alerts,
        "listen": f"{config.page_host}:{config.ports.alerts}",
        "targets": [
            {
                "peer": peer.name,
                "url": f"{sidecar_url(config, peer)}/metrics",
                "run_dir": folder.peer(peer.name),
                "restartable": not isinstance(peer.watched, AttachedPeer),
            }
            for peer in peers
        ],
        "machines": [describe_watched(machine, base) for machine in config.watch],
        "leaderboard_url": leaderboard_url(config) if has_board(config, peers) else None,
    }
    composition.problems += _section(composition, "alerts", AlertsConfig, data, given, _ALERTS_KEYS)


def _section(
    composition: Composition,
    name: str,
    model: type[BaseModel],
    data: Mapping[str, Any],
    given: Mapping[str, Any],
    managed: frozenset[str],
) -> Iterator[Problem]:
    for key in sorted(managed.intersection(given)):
        yield Problem((name, key), "set by Peerwatch; remove it")
    top = keys_of(model) - managed
    if name == "alerts":
        top |= {"host"}
    result = validate(model, data, top=top)
    if isinstance(result, BaseModel):
        setattr(composition, name, result)
        return
    for mistake in result:
        # What the fleet sets itself, such as a target's port, has its own check at its own key.
        if not mistake.location or mistake.location[0] not in managed:
            yield Problem((name, *mistake.location), mistake.message)
    # The valid rest is checked too, so that one run reports every error.
    wrong = {mistake.location[0] for mistake in result if mistake.location}
    rest = validate(model, {key: value for key, value in data.items() if key not in wrong}, top=top)
    if wrong and isinstance(rest, BaseModel):
        setattr(composition, name, rest)
