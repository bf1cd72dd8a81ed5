"""The commented configuration that `init` writes and that the demo runs, sized for a machine; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.configuration.checks import Machine
from trainer.config import TrainerConfig
from trainer.suited import TINY

_GIB = 2**30

_TEMPLATE = """\
# Peerwatch: the peers to run on this machine, and who hears of their problems.
# `peerwatch check` finds every mistake in this file; `peerwatch up` starts the fleet.

fleet: {fleet:<24} # names the peers ({fleet}-0, ...) and the folder of their files
peers: {peers:<24} # a count, or a list; a peer of the list can override any key of `trainer`:
#  - name: amber
#  - name: basalt
#    memory_limit: 6GiB
#    model: Qwen/Qwen2.5-0.5B-Instruct
#    sidecar_port: 9790
memory_limit: {memory:<17} # for each peer; more than this raises MemoryExceeded
{reasons}
swarm:
  initial_peers: []             # empty: a swarm of your own, led by the first peer; else addresses like
                                # /ip4/203.0.113.7/tcp/38331/p2p/Qm...
  host: 127.0.0.1               # 0.0.0.0 lets peers on other machines reach yours

trainer:                        # for all peers
  model: {model:<22} # tiny (a toy, built in place), a Hugging Face id, or a local folder
  task: {task:<23} # a dataset of reasoning-gym
  task_options: {{}}              # options of that dataset
  # rewards: [rewards.py:reward]  # instead of the built-in ones: a function in a file, with TRL's signature
  device: {device:<21} # auto, cpu, cuda or mps
  steps_per_stage: 20
  # dtype: bfloat16             # weights in half the memory
  # lora: {{r: 16}}               # train adapters only, which saves gradients and optimizer; needs peerwatch[lora]
  grpo: {grpo:<23} # any field of trl.GRPOConfig, such as learning_rate: 1.0e-5

# This machine has {cores} cores: each peer computes with {threads} (cores divided by peers).

ports:                          # the first peer's; the next ones follow. All but `trainer` serve this machine only.
  trainer: 38331
  sidecar: 9700
  leaderboard: 8700
  alerts: 8750

alerts:
  interval: {interval}
  reminder: 4h                  # how often an alert that goes on is told again
  routes: []                    # where alerts go, by apprise URL; without any, they show in the terminal and the page
  #  - name: phone
  #    url: tgram://${{TELEGRAM_TOKEN}}/${{TELEGRAM_CHAT}}
  #  - name: mail
  #    url: file:mail.url       # a file that holds the whole URL, mailto://user:password@example.org
  rules: {{}}
  #  PeerDown: {{for: 2m}}
"""


@dataclass(frozen=True)
class Sizing:
    """What the plan found to fit: a memory limit in bytes, GRPOConfig fields, and the reasons, a line each."""

    model: str = TINY
    memory_limit_bytes: int | None = None
    grpo: Mapping[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()


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
    """The text of a configuration that is right as it stands."""
    sizing = sizing or Sizing()
    return _TEMPLATE.format(
        fleet=fleet,
        peers=peers,
        memory=_size(sizing.memory_limit_bytes or _share(machine.memory_bytes, peers, most_memory_bytes)),
        reasons="".join(f"# {reason}\n" for reason in sizing.reasons),
        model=sizing.model,
        grpo="{" + ", ".join(f"{name}: {value}" for name, value in sizing.grpo.items()) + "}",
        cores=machine.cores,
        threads=max(1, machine.cores // peers),
        task=TrainerConfig.model_fields["task"].default,
        device=device,
        interval=interval,
    )


def _share(memory_bytes: int, peers: int, most_bytes: int | None) -> float:
    """Four fifths of the memory, divided."""
    share = memory_bytes * 0.8 / peers
    return share if most_bytes is None else min(share, most_bytes)


def _size(count: float) -> str:
    """In steps that people would write, rounded down."""
    if count >= _GIB and count % _GIB == 0:
        return f"{int(count // _GIB)}GiB"
    if count >= 4 * _GIB:
        return f"{int(count // _GIB)}GiB"
    return f"{max(64, int(count // 2**20 // 64 * 64))}MiB"
