"""Renders the commented configuration that `init` writes and the demo runs, sized for a machine; pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.files import yaml_text
from fleet.configuration.checks import Machine
from trainer.config import TrainerConfig
from trainer.suited import TINY

_GIB = 2**30

_TEMPLATE = """\
# Peerwatch: the peers to run on this machine, and where their alerts go.
# `peerwatch check` reports every error in this file; `peerwatch up` starts the fleet.

fleet: {fleet:<24} # name of the fleet, its peers ({fleet}-0, ...) and its state folder
peers: {peers:<24} # a count, or a list, where a peer can override any key of `trainer`:
#  - name: amber
#  - name: basalt
#    memory_limit: 6GiB
#    model: Qwen/Qwen2.5-0.5B-Instruct
#    sidecar_port: 9790
#  - name: night-run            # a trainer that somebody else starts; `peerwatch attach` adds such entries
#    kind: attached
#    find: {{folder: ~/runs/night}}
#    progress: [log: {{path: train.log}}]
memory_limit: {memory:<17} # per peer; MemoryExceeded fires near this limit
{reasons}
swarm:
  initial_peers: []             # empty: your own swarm, led by the first peer; else addresses like
                                # /ip4/203.0.113.7/tcp/38331/p2p/Qm...
  host: 127.0.0.1               # 0.0.0.0 accepts peers from other machines
  # members: [Qm...]            # ids of peers on other machines; your own swarm counts no stranger's records

trainer:                        # for all peers
  model: {model:<22} # tiny (a toy, built locally), a Hugging Face id, or a local folder
  task: {task:<23} # a dataset of reasoning-gym, openai/gsm8k or another of the hub, a .jsonl or .csv
  task_options: {task_options:<15} # options of that dataset
  # rewards: [rewards.py:reward]  # replaces the built-in ones: FILE:FUNCTION, with TRL's signature
  device: {device:<21} # auto, cpu, cuda or mps
  steps_per_stage: {steps_per_stage:<12} # of a round
  {dtype:<29} # halves the memory of the weights
  {lora:<29} # train adapters only: less memory; needs peerwatch[lora]
  grpo: {grpo:<23} # any field of trl.GRPOConfig, such as learning_rate: 1.0e-5
{others}
# This machine has {cores} cores; compute threads per peer: {threads}.

ports:                          # the first peer's; others count up. All but `trainer` serve this machine only.
  trainer: 38331
  sidecar: 9700
  leaderboard: 8700
  alerts: 8750

alerts:
  interval: {interval}
  reminder: 4h                  # how often a firing alert is repeated; 0 for never
  routes: []                    # apprise URLs to notify; without any, alerts show in the terminal and on the page
  #  - name: phone
  #    url: tgram://${{TELEGRAM_TOKEN}}/${{TELEGRAM_CHAT}}
  #  - name: mail
  #    url: file:mail.url       # a file with the whole URL, mailto://user:password@example.org
  rules: {{}}
  #  PeerDown: {{for: 2m}}
"""


_RL_SWARM = """\
# Peerwatch: instances of one rl-swarm side by side, and where their alerts go.
# `peerwatch check` reports every error in this file; `peerwatch up` starts them.

fleet: {fleet}
{reasons}memory_limit: {memory:<17} # per peer; MemoryExceeded fires near this limit
peers:                          # each in a folder of links to the checkout, with logs and an identity of its own
{peers}
# All submit through one log-in server, which runs beside them. Log in once, at http://localhost:3000.

sources:                        # where rank and reward are read; without any, nobody is asked
  - kind: chain                 # whether rewards count, on the contract that run_rl_swarm.sh names

alerts:
  routes: []                    # apprise URLs to notify; without any, alerts show in the terminal and on the page
  #  - name: phone
  #    url: tgram://${{TELEGRAM_TOKEN}}/${{TELEGRAM_CHAT}}
"""


@dataclass(frozen=True)
class Sizing:
    """What the plan found to fit: a memory limit in bytes, GRPOConfig fields, and the reasons, one line each.

    `trainer` are further keys of the section of that name.
    """

    model: str = TINY
    memory_limit_bytes: int | None = None
    grpo: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    trainer: Mapping[str, Any] = field(default_factory=dict)


def render(
    fleet: str,
    peers: int,
    machine: Machine,
    *,
    device: str = "auto",
    interval: str = "15s",
    most_memory_bytes: int | None = None,
    sizing: Sizing | None = None,
) -> str:
    """The text of a configuration that is valid as it is."""
    sizing = sizing or Sizing()
    trainer = dict(sizing.trainer)
    dtype, lora = trainer.pop("dtype", None), trainer.pop("lora", None)
    fields = TrainerConfig.model_fields
    return _TEMPLATE.format(
        fleet=fleet,
        peers=peers,
        memory=_size(sizing.memory_limit_bytes or _share(machine.memory_bytes, peers, most_memory_bytes)),
        reasons="".join(f"# {reason}\n" for reason in sizing.reasons),
        model=sizing.model,
        grpo=_flow(sizing.grpo),
        dtype=f"dtype: {dtype}" if dtype else "# dtype: bfloat16",
        lora=f"lora: {_flow(lora)}" if lora else "# lora: {r: 16}",
        cores=machine.cores,
        threads=max(1, machine.cores // peers),
        task=_flow(trainer.pop("task", fields["task"].default)),
        task_options=_flow(trainer.pop("task_options", {})),
        steps_per_stage=trainer.pop("steps_per_stage", fields["steps_per_stage"].default),
        others="".join(f"  {name}: {_flow(value)}\n" for name, value in trainer.items()),
        device=device,
        interval=interval,
    )


def _flow(value: object) -> str:
    """In one line, as the configuration is read: JSON is YAML, but for numbers that only JSON takes for such."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(name)}: {_flow(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    text = yaml_text.dump({"value": value}).removeprefix("value: ").strip()
    # Within brackets, and over several lines, a text must be quoted.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and not text.isidentifier() else text


def render_rl_swarm(
    fleet: str, peers: int, folder: Path, *, identity: Path | None = None, model: str = "", sizing: Sizing
) -> str:
    """The same for instances of a checkout; `identity` is the first one's, which has run before."""
    lines = []
    for number in range(peers):
        peer: dict[str, object] = {"name": f"{fleet}-{number}", "kind": "rl-swarm", "folder": str(folder)}
        if identity is not None and number == 0:
            peer["identity"] = str(identity)
        if model:
            peer["model"] = model
        _, *written = yaml_text.dump({"peers": [peer]}).splitlines()
        lines += [f"  {line}\n" for line in written]
    return _RL_SWARM.format(
        fleet=fleet,
        reasons="".join(f"# {reason}\n" for reason in sizing.reasons),
        memory=_size(sizing.memory_limit_bytes or _GIB),
        peers="".join(lines),
    )


def _share(memory_bytes: int, peers: int, most_bytes: int | None) -> float:
    """Four fifths of the memory, divided by the peers."""
    share = memory_bytes * 0.8 / peers
    return share if most_bytes is None else min(share, most_bytes)


def _size(count: float) -> str:
    """Rounded down to whole GiB, or to a multiple of 64 MiB below 4 GiB."""
    if count >= _GIB and count % _GIB == 0:
        return f"{int(count // _GIB)}GiB"
    if count >= 4 * _GIB:
        return f"{int(count // _GIB)}GiB"
    return f"{max(64, int(count // 2**20 // 64 * 64))}MiB"


def name_fleet(output: Path) -> str:
    """The name of the file's folder, made a valid fleet name, so that two fleets of one user stay separate."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", output.absolute().parent.name).strip("-.")[:50]
    return name or "fleet"
