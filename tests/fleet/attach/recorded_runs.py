"""Of each kind of trainer how it is started, and what one or two of its reports look like in its log."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PYTHON = "/home/ann/grpo/.venv/bin/python3"
SCRIPT = "/home/ann/grpo/train.py"
BAR = "  5%|▌         | 40/800 [00:01<00:33,  1.76s/it]"

# transformers 5 prints numbers as texts; one line, wrapped here.
TRANSFORMERS = "{'loss': '0.5012', 'grad_norm': '0.508', 'learning_rate': '5e-07', 'epoch': '0.16'}\n" + BAR
# TRL 1.x with its usual settings.
TRL = (
    "{'loss': '7.451e-09', 'grad_norm': '1.392', 'learning_rate': '9.884e-07', 'num_tokens': '2.313e+04',"
    " 'completions/mean_length': '4', 'completions/min_length': '4', 'completions/max_length': '4',"
    " 'completions/clipped_ratio': '0.75', 'completions/mean_terminated_length': '4',"
    " 'completions/min_terminated_length': '4', 'completions/max_terminated_length': '4',"
    " 'rewards/reward_letters/mean': '0.4583', 'rewards/reward_letters/std': '0.1596', 'reward': '0.4583',"
    " 'reward_std': '0.1596', 'frac_reward_zero_std': '0', 'entropy': '5.55', 'clip_ratio/low_mean': '0',"
    " 'clip_ratio/high_mean': '0', 'clip_ratio/region_mean': '0', 'clip_ratio/low_min': '0',"
    " 'clip_ratio/high_max': '0', 'step_time': '0.1383', 'epoch': '145.2'}\n" + BAR
)
# rl-swarm 0.4 with TRL 0.19, as its logger captures it.
SWARM_OF_STAGES = (
    "logging_steps=2,\n"
    "2026-11-28 03:23:32,184 - INFO - hivemind_exp.trainer.hivemind_grpo_trainer:meek soaring vulture:170 - "
    "📈 Training round: 0 stage: 0\n"
    "2026-11-28 03:23:34,538 - DEBUG - root:144 - [PRINT] {'loss': -0.0, 'grad_norm': 0.4798416793346405,"
    " 'learning_rate': 3.4e-09, 'num_tokens': 43519.0, 'completions/mean_length': 24.0,"
    " 'completions/clipped_ratio': 1.0, 'reward': 0.0, 'reward_std': 0.0, 'frac_reward_zero_std': 1.0,"
    " 'kl': 0.0005, 'clip_ratio/low_mean': 0.0, 'epoch': 10.0}\n"
)
SWARM_OF_ROUNDS = "[2026-11-28 03:23:02,821][genrl.logging_utils.global_defs][INFO] - Starting round: 7/1000000.\n"
SWIFT = (
    "{'loss': 0.00339046, 'grad_norm': 0.02557648, 'learning_rate': 9.9e-07, 'reward': 0.5, 'reward_std': 0.1,"
    " 'kl': 0.001, 'completions/mean_length': 99.5, 'completions/clipped_ratio': 0.0, 'epoch': 0.11,"
    " 'global_step/max_steps': '340/9060', 'percentage': '3.75%', 'elapsed_time': '18m 42s', 'memory(GiB)': 5.15,"
    " 'train_speed(s/it)': 3.3}\n"
)
VERL = (
    "(TaskRunner pid=4711) step:59 - actor/entropy:0.5 - actor/kl_loss:0.001 - actor/pg_loss:-0.01 -"
    " actor/grad_norm:0.2 - actor/lr:1e-06 - critic/rewards/mean:0.5 - response_length/mean:99.5 -"
    " response_length/clip_ratio:0.0 - perf/total_num_tokens:4000 - timing_s/step:12.5\n"
)
PRIME_RL = (
    "12:03:07 SUCCESS Step 5 |   1.20s | Loss 0.1000 | Entropy 0.5000 | Mismatch KL 0.0010 | Grad. Norm 0.2000 |"
    " LR 1.00e-06 | Throughput 512 tokens/s | MFU 10.5%\n"
)
MLX = """\
================================================================================
Iter 10:
--------------------------------------------------------------------------------
Loss: 0.125
Total Rewards:  μ=0.500, σ=0.250
Group Rewards:  μ=0.450, σ=0.100
KL Divergence: 0.000000012345
--------------------------------------------------------------------------------
Generation Stats:
  • Avg tokens: 23.5
  • Hit limit: 12.5%
Learning Rate: 1.0000e-05
================================================================================
"""
OPENRLHF = (
    "2026-11-28 03:23:02 INFO ✨ Global step 12: {'policy_loss': -0.01, 'actor_lr': 1e-06, 'reward': 0.5,"
    " 'response_length': 99.5, 'kl': 0.001}\n"
)


@dataclass(frozen=True)
class RecordedRun:
    """`files` are texts by their paths; `command` is shown in the manual without the interpreter's folder."""

    trainer: str
    command: str
    kind: str
    log: str
    files: Mapping[str, str] = field(default_factory=dict)
    maps_torch: bool = True


RUNS = (
    RecordedRun(
        "transformers",
        "python train.py",
        "transformers",
        TRANSFORMERS,
        {SCRIPT: "import transformers\ntransformers.Trainer(model, args).train()\n"},
    ),
    RecordedRun(
        "TRL", "python train.py", "trl", TRL, {SCRIPT: "from trl import GRPOConfig, GRPOTrainer\nGRPOTrainer(m)\n"}
    ),
    RecordedRun("TRL's command", "trl grpo --config grpo.yaml", "trl", TRL),
    RecordedRun(
        "Unsloth",
        "python train.py",
        "unsloth",
        TRL,
        {SCRIPT: "from unsloth import FastLanguageModel\nfrom trl import GRPOTrainer\nGRPOTrainer(m).train()\n"},
    ),
    RecordedRun("ms-swift", "swift rlhf --rlhf_type grpo", "ms-swift", SWIFT),
    RecordedRun(
        "LLaMA-Factory",
        "llamafactory-cli train a.yaml",
        "llama-factory",
        TRANSFORMERS,
        {"/home/ann/grpo/a.yaml": "output_dir: saves/a\n"},
    ),
    RecordedRun("verl", "python -m verl.trainer.main_ppo", "verl", VERL),
    RecordedRun("prime-rl", "python -m prime_rl.trainer.rl.train", "prime-rl", PRIME_RL),
    RecordedRun("MLX", "python -m mlx_lm_lora.train --train-mode grpo", "mlx", MLX, maps_torch=False),
    RecordedRun("OpenRLHF", "python -m openrlhf.cli.train_ppo_ray", "openrlhf", OPENRLHF),
    RecordedRun("rl-swarm 0.4", "python -m hivemind_exp.gsm8k.train_single_gpu", "rl-swarm", SWARM_OF_STAGES),
    RecordedRun("rl-swarm 0.5.2 and later", "python -m rgym_exp.runner.swarm_launcher", "rl-swarm", SWARM_OF_ROUNDS),
    RecordedRun("any other with PyTorch", "python loop.py", "unknown", "update 5: score 0.5\n"),
)
