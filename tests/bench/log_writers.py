"""Twenty trainers in one process, as far as their logs tell: `python -m tests.bench.log_writers FOLDER COUNT RATE`.

Each writes FOLDER/N/train.log as TRL with a verbose reward function does: reports, a progress bar and completions, in
all RATE bytes a second together.
"""

import sys
import time
from pathlib import Path

STEP_SECONDS = 2.0
NOISE = "Question {n}: a train leaves at 9.40 with 17 passengers … Answer: <think>Let me add: 17 + 25 = 42</think>\n"


def make_step(step: int, size: int) -> bytes:
    """What one step writes: a report, a bar and as many lines of completions as make up `size` bytes."""
    values = {
        "loss": 0.0101,
        "grad_norm": 0.508,
        "learning_rate": 5e-07,
        "num_tokens": 4466.0 + step,
        "completions/mean_length": 24.0,
        "rewards/reward_letters/mean": 0.7144,
        "reward": 0.7144,
        "reward_std": 0.1,
        "kl": 0.002,
        "entropy": 0.5,
        "epoch": step / 1000,
    }
    report = f"{values}\n\r  5%|▌         | {step}/100000 [00:01<00:33,  1.76s/it]".encode()
    line = NOISE.format(n=step).encode()
    return b"\n" + line * max(0, (size - len(report)) // len(line)) + report


def main(folder: Path, count: int, rate: float) -> None:
    files = []
    for number in range(count):
        (folder / str(number)).mkdir()
        files.append((folder / str(number) / "train.log").open("ab", buffering=0))
    began, step = time.monotonic(), 0
    size = int(rate * STEP_SECONDS / count)
    print(flush=True)
    while True:
        step += 1
        for number, file in enumerate(files):
            # Spread over the step, as trainers do not step together.
            time.sleep(max(0.0, began + (step - 1 + number / count) * STEP_SECONDS - time.monotonic()))
            file.write(make_step(step, size))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
