"""A GRPO run to be recorded: `python -m tests.bench.stalls.subject FOLDER '{"size": "20M", …}'`.

It announces its phases as Peerwatch's trainer does, and writes a line for each step to FOLDER/steps.txt: the clock at
its end, and the seconds that it spent generating, training, saving and on anything else.
"""

import json
import os
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from trainer.data import byte_tokenizer

SIZES = {
    "tiny": {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4},
    "20M": {"hidden_size": 448, "intermediate_size": 1280, "num_hidden_layers": 9, "num_attention_heads": 7},
    "45M": {"hidden_size": 640, "intermediate_size": 1792, "num_hidden_layers": 9, "num_attention_heads": 10},
}
USUAL = {
    "size": "tiny",
    "completion": 40,
    "batch": 8,
    "accumulate": 1,
    "save_steps": 0,
    "eval_steps": 0,
    "server": None,
    "hang": None,
}


class Notes(TrainerCallback):
    """Where the time of each step went."""

    def __init__(self, path):
        self.file = open(path, "w", buffering=1)  # noqa: SIM115 open as long as the run
        self.spent = {}
        self.phase, self.since = "waiting", time.monotonic()

    def enter(self, phase):
        now = time.monotonic()
        self.spent[self.phase] = self.spent.get(self.phase, 0.0) + now - self.since
        self.phase, self.since = phase, now

    @contextmanager
    def within(self, phase):
        before = self.phase
        self.enter(phase)
        try:
            yield
        finally:
            self.enter(before)

    def on_train_begin(self, *args, **kwargs):
        self.enter("training")
        self.spent.clear()
        print(self.since, file=self.file)

    def on_step_end(self, *args, **kwargs):
        self.enter("training")
        spent = [self.spent.get(name, 0.0) for name in ("generating", "training", "saving", "waiting")]
        print(self.since, *(f"{seconds:.3f}" for seconds in spent), file=self.file)
        self.spent.clear()


class Subject(GRPOTrainer):
    """Announces generating, saving and evaluating; asks a server before it generates, if there is one."""

    notes, server, folder = None, None, None

    def _generate(self, *args, **kwargs):
        if self.notes.phase == "waiting":
            return super()._generate(*args, **kwargs)
        with self.notes.within("generating"):
            if self.server:
                note_hang(self.folder)
                urllib.request.urlopen(self.server).read()
            return super()._generate(*args, **kwargs)

    def evaluate(self, *args, **kwargs):
        with self.notes.within("waiting"):
            return super().evaluate(*args, **kwargs)

    def _save_checkpoint(self, *args, **kwargs):
        with self.notes.within("saving"):
            super()._save_checkpoint(*args, **kwargs)


class LongerTask(TrainerCallback):
    """From a step on the completions are longer: another task."""

    def __init__(self, trainer, at, length):
        self.trainer, self.at, self.length = trainer, at, length

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.at:
            self.trainer.generation_config.max_new_tokens = self.length
            self.trainer.max_completion_length = self.length


def note_hang(folder):
    """Notes the instant, on a full disk too: from the latest one on it hangs, unless it goes on."""
    (Path(folder) / "hung").touch()


def make_hang(kind, folder):
    """What a reward does once FOLDER/hang exists: nothing returns from it."""
    asked = Path(folder) / "hang"

    def hang():
        if not asked.exists():
            return
        note_hang(folder)
        while kind == "spin":
            pass
        while kind == "write":
            try:
                with open(Path(folder) / "log.txt", "ab") as log:
                    log.write(b"x" * 65536)
                    os.fsync(log.fileno())
                return
            except OSError:
                time.sleep(0.5)
        threading.Lock().acquire() and threading.Event().wait()

    return hang


def build(folder, options):
    hang = make_hang(options["hang"], folder)

    def reward_letters(completions, **_):
        hang()
        return [len(set(text)) / 6 for text in completions]

    tokenizer = byte_tokenizer()
    tokens = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    size = SIZES[options["size"]]
    model = Qwen2ForCausalLM(
        Qwen2Config(vocab_size=len(tokenizer), num_key_value_heads=size["num_attention_heads"], **size, **tokens)
    )
    rows = Dataset.from_list([{"prompt": text * 4} for text in "abcdefgh"])
    arguments = GRPOConfig(
        use_cpu=True,
        dataloader_pin_memory=False,
        output_dir=os.path.join(folder, "out"),
        max_steps=1_000_000,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        save_strategy="steps" if options["save_steps"] else "no",
        save_steps=options["save_steps"] or 500,
        save_total_limit=1,
        eval_strategy="steps" if options["eval_steps"] else "no",
        eval_steps=options["eval_steps"] or None,
        per_device_train_batch_size=options["batch"],
        per_device_eval_batch_size=options["batch"],
        gradient_accumulation_steps=options["accumulate"],
        num_generations=4,
        max_completion_length=options["completion"],
    )
    trainer = Subject(
        model,
        reward_funcs=reward_letters,
        args=arguments,
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
    )
    trainer.notes = Notes(os.path.join(folder, "steps.txt"))
    trainer.server, trainer.folder = options["server"], folder
    trainer.add_callback(trainer.notes)
    if "longer" in options:
        trainer.add_callback(LongerTask(trainer, *options["longer"]))
    return trainer


if __name__ == "__main__":
    build(sys.argv[1], USUAL | json.loads(sys.argv[2])).train()
