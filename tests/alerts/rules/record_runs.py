"""Records what real GRPO runs of a tiny model log: `python -m tests.alerts.rules.record_runs FOLDER [RUN…]`.

Each run takes seconds on a processor; `runs/` holds what it wrote, with the versions, machine and date. The rewards are
of a game that the tiny model can learn, letters instead of other bytes; each run breaks one thing about it.
"""

import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

LENGTH = 12
GENERATIONS = 8
# A number with this many digits is as exact as a rule needs it.
DIGITS = 6
# Named for what no reader or rule takes: the same in each step, or of one reward function.
LEFT_OUT = ("rewards/", "learning_rate", "epoch", "num_tokens", "completions/m", "clip_ratio/low", "clip_ratio/high")
KEPT = ("completions/mean_length", "completions/mean_terminated_length")

Reward = Callable[[Sequence[Sequence[int]]], list[float | None]]


def letters(completions: Sequence[Sequence[int]]) -> list[float | None]:
    """The share of a completion's tokens that are of the lower half of the vocabulary: easily learnt."""
    return [sum(token < 130 for token in tokens) / LENGTH for tokens in completions]


def fixed(value: float | None) -> Reward:
    """The same reward for every completion; None: the reward function does not apply."""
    return lambda completions: [value] * len(completions)


def threshold(completions: Sequence[Sequence[int]]) -> list[float | None]:
    """1 for a completion that is mostly of the lower half; the run comes to earn 1 with every completion."""
    return [float(reward is not None and reward >= 0.5) for reward in letters(completions)]


def breaking(reward: Reward, after: int) -> Reward:
    """A reward function that stops working after so many steps: nothing is right any more."""
    calls = iter(range(10**9))
    return lambda completions: reward(completions) if next(calls) < after else [0.0] * len(completions)


@dataclass(frozen=True)
class Run:
    """One run: its rewards, its options of GRPOConfig, and whether its completions may end by themselves."""

    reward: Reward
    steps: int = 50
    may_end: bool = True
    options: dict[str, Any] = field(default_factory=dict)


RUNS = {
    "healthy": Run(letters, steps=80),
    "healthy-with-kl": Run(letters, options={"beta": 0.04}),
    "cut-but-learning": Run(letters, may_end=False),
    "all-right": Run(threshold, steps=180),
    "all-wrong": Run(breaking(letters, after=15)),
    "all-zero": Run(fixed(0.0)),
    "all-alike": Run(fixed(0.7), steps=80),
    "all-alike-with-kl": Run(fixed(0.7), steps=80, options={"beta": 0.04}),
    "all-cut": Run(fixed(0.0), may_end=False),
    "rewards-missing": Run(fixed(None), steps=30),
    "too-fast": Run(letters, steps=30, options={"learning_rate": 1e6}),
}


def record(run: Run) -> list[dict[str, Any]]:
    """What each step of the run logged, in the trainer's own words, with `seconds` since the run's begin."""
    import torch
    import transformers

    from tests.tiny_grpo import build, build_model
    from trainer.data import byte_tokenizer

    # Beside other work, two threads of a model this small wait for each other most of the time.
    torch.set_num_threads(1)
    transformers.set_seed(7)
    tokenizer = byte_tokenizer()
    model = build_model(tokenizer, hidden_size=32, intermediate_size=64)
    rows: list[dict[str, Any]] = []
    begin = time.monotonic()

    class Notes(transformers.TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if "grad_norm" in (logs or {}):
                told = {name: _short(value) for name, value in logs.items() if name in KEPT or _is_told(name)}
                rows.append({"seconds": round(time.monotonic() - begin, 3), "step": state.global_step, **told})

    # Weights that are not finite must not end the run before it has logged them.
    generation: dict[str, Any] = {"remove_invalid_values": True}
    if not run.may_end:
        generation["suppress_tokens"] = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"learning_rate": 5e-3, **run.options}
        if options.get("beta"):
            # TRL loads the reference model from where the model came from.
            model.save_pretrained(folder)
            model.config._name_or_path = folder
        trainer = build(
            reward=lambda completion_ids, **_: run.reward(completion_ids),
            model=model,
            prompts="abcdefghijklmnop",
            callbacks=[Notes()],
            output_dir=folder,
            max_steps=run.steps,
            per_device_train_batch_size=2 * GENERATIONS,
            num_generations=GENERATIONS,
            max_completion_length=LENGTH,
            generation_kwargs=generation,
            lr_scheduler_type="constant",
            disable_tqdm=True,
            seed=7,
            **options,
        )
        trainer.remove_callback(transformers.PrinterCallback)
        try:
            trainer.train()
        except (RuntimeError, ValueError) as error:
            print(f"the run ended early: {str(error).splitlines()[0]}", file=sys.stderr)
    return rows


def _is_told(name: str) -> bool:
    return not name.startswith(LEFT_OUT)


def _short(value: Any) -> Any:
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return float(f"{value:.{DIGITS}g}")


def main(folder: Path, names: Sequence[str]) -> None:
    made_by = {name: version(name) for name in ("trl", "transformers", "torch")}
    where = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, no accelerator"
    for name in names or RUNS:
        rows = record(RUNS[name])
        head = {"run": name, "date": time.strftime("%Y-%m-%d"), "machine": where, "versions": made_by}
        lines = "\n".join(json.dumps(row) for row in [head, *rows])
        (folder / f"{name}.jsonl").write_text(f"{lines}\n")
        print(f"{name}: {len(rows)} steps")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
