"""Tasks of reasoning-gym load only what they use."""

import subprocess
import sys

from tests.architecture import ROOT

LOOK = """
import sys
from trainer.tasks.gym import GymSource

def tell():
    print("matplotlib" in sys.modules)

GymSource("chain_sum", {}).entry(0)
tell()
source = GymSource("game_of_life", {})
entry = source.entry(0)
tell()
halting = GymSource("game_of_life_halting", {}).entry(0)
print(source.score(entry, entry["answer"]), halting["answer"] in ("True", "False"))
"""


def test_matplotlib_is_loaded_for_the_tasks_that_need_it_alone() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=ROOT, capture_output=True, text=True, timeout=600)

    assert done.stdout.split() == ["False", "True", "1.0", "True"], done.stdout + done.stderr
