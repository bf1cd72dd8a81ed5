"""What writers of each format leave in a file, as the tests feed it to readers whole, in parts and mixed with noise."""

import json

BAR = "\r  5%|▌         | {0}/20 [00:01<00:33,  1.76s/it]"

REPORTS = {
    "transformers": "{{'loss': 0.{0}, 'grad_norm': nan, 'reward': '0.5', 'kl': None, 'epoch': 0.{0}}}\n" + BAR,
    "verl": "(TaskRunner pid=1) step:{0} - actor/pg_loss:np.float64(0.5) - critic/rewards/mean:1e-05 - val/x:1\n",
    "prime_rl": "12:00:0{0} SUCCESS Step {0} |   1.20s | Loss 0.1000 | Entropy 0.5 | LR 1.00e-06 | MFU 1.5%\n",
    "mlx": "====\nIter {0}:\n----\nLoss: 0.125\nTotal Rewards:  μ=0.5, σ=0.25\n  • Hit limit: 12.5%\n====\n",
    "rl_swarm": "[2026-11-28 03:23:02,821][x][INFO] - Starting round: {0}/1000000.\n",
    "pattern": "update {0} of 20, loss=0.25 [ok]\n",
}
PATTERN = r"update (?P<step>\d+) of (?P<total_steps>\d+), .*loss=(?P<loss>\S+)"


def write_log(name: str, steps: range) -> bytes:
    """The log of a trainer in one of the formats."""
    return "".join(REPORTS[name].format(step) for step in steps).encode()


def write_rows(steps: range) -> bytes:
    """Rows of JSON, of all the writers known."""
    rows = []
    for step in steps:
        rows += [
            {"step": step, "time": 1_782_000_000.5 + step, "loss/mean": 0.5, "eval/x": 1},
            {"step": step, "data": {"actor/grad_norm": float("nan"), "a": {"b": {"c": "1"}}}},
            {"global_step/max_steps": f"{step}/20", "loss": 0.5, "timestamp": "2026-11-28T12:00:00+01:00"},
        ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def write_page(step: int) -> bytes:
    """A page of metrics."""
    return (
        f"# TYPE trainer_step gauge\ntrainer_step {step}.0\ntrainer_loss NaN 1782000000000\n"
        f'actor_pg_loss{{a="b\\"}}"}} 1e-05\nvllm:num_requests_running{{engine="0"}} 3.0\n'
    ).encode()


def write_state(step: int) -> bytes:
    """The state that a checkpoint holds."""
    history = [{"epoch": 0.1, "loss": 0.5, "reward": None, "step": one} for one in range(1, step + 1)]
    state = {"global_step": step, "log_history": history, "max_steps": 20, "trial_params": None}
    return json.dumps(state, indent=2, sort_keys=True).encode() + b"\n"
