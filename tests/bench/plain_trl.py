"""What a peer of the tiny model trains, with TRL alone: `python -m tests.bench.plain_trl FILE` notes its steps."""

import sys
from pathlib import Path

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from tests.bench.timed_trl import Notes
from tests.trainer.peers import QUICK
from trainer.config import TrainerConfig
from trainer.data import load_model, load_task
from trainer.grpo import grpo_options, quiet
from trainer.scoring import reward_functions

QUESTIONS = 2000


def main(path: Path) -> None:
    """Trains until it is killed."""
    config = TrainerConfig(name="plain", run_dir=path.parent, device="cpu", stages_per_round=1, grpo=QUICK)
    task = load_task(config)
    model, tokenizer = load_model(config)
    entries = [dict(task.entry(number)) for number in range(QUESTIONS)]
    questions = Dataset.from_list([{"prompt": one["question"], "answer": one["answer"]} for one in entries])
    # As it is: a table would make columns of what the task keeps with a question.
    by_question = {one["question"]: one for one in entries}

    def judge(entry: object, answer: str) -> float:
        return task.judge(by_question[str(entry)], answer)

    questions = questions.add_column("entry", questions["prompt"])
    with quiet():
        GRPOTrainer(
            model=model,
            reward_funcs=reward_functions(config.rewards, judge),
            args=GRPOConfig(**grpo_options(config, "cpu", path.parent / "checkpoints")),
            train_dataset=questions,
            processing_class=tokenizer,
            callbacks=[Notes(path)],
        ).train()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
