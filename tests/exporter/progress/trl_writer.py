"""Real GRPO runs of TRL, small enough for a test: `python -m tests.exporter.progress.trl_writer FOLDER RUN…`.

A RUN trains in FOLDER/RUN, with output to run.log there. `unbuffered` and `buffered` also evaluate and save: `buffered`
writes as Python does into a file, `unbuffered` as `python -u` does; written.json holds step, reward and time of each
report. `tracked` reports to trackers. All are in one process, as importing TRL takes most of the time.
"""

import gc
import io
import json
import os
import sys
import time
from pathlib import Path

STEPS, LOGGED, EVALUATED, SAVED = 12, 2, 6, 4
TRACKED_STEPS = 10
TRACKERS = ("tensorboard", "wandb", "trackio")


def train(folder: Path) -> None:
    from transformers import TrainerCallback

    from tests.tiny_grpo import build

    class Notes(TrainerCallback):
        def __init__(self) -> None:
            self.written: list[tuple[int, float, float]] = []

        def on_log(self, args, state, control, logs=None, **kwargs):
            if "reward" in (logs or {}):
                self.written.append((state.global_step, logs["reward"], time.time()))

    notes = Notes()
    trainer = build(
        output_dir=str(folder),
        max_steps=STEPS,
        logging_steps=LOGGED,
        eval_strategy="steps",
        eval_steps=EVALUATED,
        save_strategy="steps",
        save_steps=SAVED,
        callbacks=[notes],
    )
    trainer.train()
    (folder / "written.json").write_text(json.dumps(notes.written))


def train_tracked(folder: Path) -> None:
    """TRACKED_STEPS steps, each reported to TRACKERS; the checkpoint of the last has the trainer's own record."""
    from tests.tiny_grpo import build

    os.chdir(folder)
    trainer = build(
        output_dir="output",
        max_steps=TRACKED_STEPS,
        save_strategy="steps",
        save_steps=TRACKED_STEPS,
        report_to=list(TRACKERS),
        run_name="letters",
    )
    trainer.train()


def main(folder: Path, runs: list[str]) -> None:
    for name in runs:
        (folder / name).mkdir()
        log = os.open(folder / name / "run.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        if name == "unbuffered":
            sys.stdout = io.TextIOWrapper(os.fdopen(os.dup(log), "wb", buffering=0), write_through=True)
        else:
            sys.stdout = os.fdopen(os.dup(log), "w")
        sys.stderr = os.fdopen(log, "w", buffering=1)
        (train_tracked if name == "tracked" else train)(folder / name)
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    # All that it imports stays, and it ends soon.
    gc.disable()
    main(Path(sys.argv[1]), sys.argv[2:])
