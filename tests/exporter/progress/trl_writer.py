"""Real GRPO runs of TRL, small enough for a test: `python -m tests.exporter.progress.trl_writer FOLDER [WRITER…]`.

Two runs train, evaluate and save in FOLDER/unbuffered and FOLDER/buffered, with output to run.log there; `buffered`
writes as Python does into a file, `unbuffered` as `python -u` does. written.json holds step, reward and time of each
report. With writers, one more run reports to them in FOLDER/tracked. All are in one process, as importing TRL takes
most of the time.
"""

import io
import json
import os
import sys
import time
from pathlib import Path

STEPS, LOGGED, EVALUATED, SAVED = 12, 2, 6, 4


def train(folder: Path, model: object, tokenizer: object) -> None:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    class Notes(TrainerCallback):
        def __init__(self) -> None:
            self.written: list[tuple[int, float, float]] = []

        def on_log(self, args, state, control, logs=None, **kwargs):
            if "reward" in (logs or {}):
                self.written.append((state.global_step, logs["reward"], time.time()))

    arguments = GRPOConfig(
        str(folder),
        max_steps=STEPS,
        logging_steps=LOGGED,
        eval_strategy="steps",
        eval_steps=EVALUATED,
        save_steps=SAVED,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        num_generations=4,
        max_completion_length=6,
        report_to=[],
        use_cpu=True,
        dataloader_pin_memory=False,
    )
    prompts = Dataset.from_list([{"prompt": text} for text in "abcdefgh"])
    notes = Notes()
    trainer = GRPOTrainer(
        model,
        reward_funcs=lambda completions, **_: [len(set(text)) / 6 for text in completions],
        args=arguments,
        train_dataset=prompts,
        eval_dataset=prompts,
        processing_class=tokenizer,
        callbacks=[notes],
    )
    trainer.train()
    (folder / "written.json").write_text(json.dumps(notes.written))


def main(folder: Path, writers: list[str]) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from trainer.data import byte_tokenizer

    tokenizer = byte_tokenizer()
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    for buffering in ("unbuffered", "buffered"):
        (folder / buffering).mkdir()
        log = os.open(folder / buffering / "run.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        if buffering == "buffered":
            sys.stdout = os.fdopen(os.dup(log), "w")
        else:
            sys.stdout = io.TextIOWrapper(os.fdopen(os.dup(log), "wb", buffering=0), write_through=True)
        sys.stderr = os.fdopen(log, "w", buffering=1)
        train(folder / buffering, Qwen2ForCausalLM(config), tokenizer)
        sys.stdout.flush()
        sys.stderr.flush()
    if writers:
        from tests.exporter.progress import trl_with_trackers

        (folder / "tracked").mkdir()
        os.chdir(folder / "tracked")
        with open("out.txt", "w", buffering=1) as output:
            sys.stdout = sys.stderr = output
            trl_with_trackers.train(writers)
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
