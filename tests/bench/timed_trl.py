"""The endless GRPO run of the tests, which notes its steps: `python -m tests.bench.timed_trl FILE`.

FILE gets a line for each step: the clock at its end, its seconds, and those of a processor that this process used.
"""

import sys
import time

from transformers import TrainerCallback

from tests.tiny_grpo import build


class Notes(TrainerCallback):
    """A step lasts from one's end to the next one's, with all that comes between."""

    def __init__(self, path):
        self.file = open(path, "w", buffering=1)  # noqa: SIM115 open as long as the run
        self.last = None

    def on_step_end(self, args, state, control, **kwargs):
        now, used = time.monotonic(), time.process_time()
        if self.last is not None:
            print(now, now - self.last[0], used - self.last[1], file=self.file)
        self.last = now, used


if __name__ == "__main__":
    build(max_steps=100_000, max_completion_length=4, callbacks=[Notes(sys.argv[1])]).train()
