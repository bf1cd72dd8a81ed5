"""The endless GRPO run of the tests, which notes its steps: `python -m tests.bench.timed_trl FILE`.

FILE gets a line for each step: the clock at its end, and its seconds.
"""

import sys
import time

from transformers import TrainerCallback

from tests.e2e.trl_script import build


class Notes(TrainerCallback):
    """A step lasts from one's end to the next one's, with all that comes between."""

    def __init__(self, path):
        self.file = open(path, "w", buffering=1)  # noqa: SIM115 open as long as the run
        self.last = None

    def on_step_end(self, args, state, control, **kwargs):
        now = time.monotonic()
        if self.last is not None:
            print(now, now - self.last, file=self.file)
        self.last = now


if __name__ == "__main__":
    trainer = build(0.0)
    trainer.add_callback(Notes(sys.argv[1]))
    trainer.train()
