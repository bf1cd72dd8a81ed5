"""The footprints that `peerwatch plan` predicts against the measured peaks of real peers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from exporter.system.footprint import read_footprint, read_shared_files
from fleet.plan.footprint import MIB, predict
from fleet.plan.shapes import find_shape
from fleet.plan.trial import Span, Trial
from fleet.plan.workload import workload
from tests.models import LLAMA_15M, LLAMA_150M, QWEN_5M, QWEN_45M, Shape, save_model
from trainer.config import TrainerConfig

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

SUBJECT = "Predicted footprint of a peer against its measured peak"
PARTS = "Memory of a peer of the tiny model"
SPAN = Span(steps=2, seconds=1, limit_seconds=1500)
GRPO = {"num_generations": 4, "max_completion_length": 32}
LONG = {"num_generations": 8, "max_completion_length": 96}


class Run(NamedTuple):
    """One model with its settings."""

    name: str
    shape: Shape | None
    options: dict[str, Any]


RUNS = [
    Run("tiny, full, float32", None, {}),
    Run("tiny, LoRA, bfloat16", None, {"lora": {}, "dtype": "bfloat16"}),
    Run("Qwen2 of 5M, full, float32", QWEN_5M, {}),
    Run("Llama of 15M, full, bfloat16", LLAMA_15M, {"dtype": "bfloat16"}),
    Run(
        "Llama of 15M, 8 × 96 tokens, without checkpointing",
        LLAMA_15M,
        {"grpo": {**LONG, "gradient_checkpointing": False}},
    ),
    Run("Qwen2 of 45M, full, float32", QWEN_45M, {}),
    Run("Qwen2 of 45M, full, bfloat16", QWEN_45M, {"dtype": "bfloat16"}),
    Run("Qwen2 of 45M, LoRA, float32", QWEN_45M, {"lora": {}}),
    Run("Llama of 150M, full, float32", LLAMA_150M, {}),
    Run("Llama of 150M, full, bfloat16", LLAMA_150M, {"dtype": "bfloat16"}),
    Run("Llama of 150M, LoRA, float32", LLAMA_150M, {"lora": {}}),
]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_prediction_is_within_fifteen_percent(run: Run, record: Callable[..., None], tmp_path: Path) -> None:
    model = str(save_model(tmp_path / "model", run.shape)) if run.shape else "tiny"
    config = TrainerConfig(name="a", run_dir=tmp_path, model=model, device="cpu", **{"grpo": GRPO, **run.options})
    predicted = predict(find_shape(model), workload(config, "cpu"), system="linux").bytes
    settings = config.model_dump(mode="json", exclude={"name", "run_dir", "swarm"})

    with Trial(settings, tmp_path / "trial", peers=1, threads=1) as trial:
        measured = trial.run(SPAN, lambda _: None, sample_seconds=0.02)[0].peak_bytes

    error = predicted / measured - 1
    figures = f"{predicted / MIB:.0f} MiB against {measured / MIB:.0f} MiB, {error:+.1%}"
    record(SUBJECT, run.name, figures, "within 15 %")
    assert abs(error) < 0.15


def test_constants_of_the_formula(record: Callable[..., None], tmp_path: Path) -> None:
    settings = TrainerConfig(name="a", run_dir=tmp_path, grpo=GRPO).model_dump(
        mode="json", exclude={"name", "run_dir", "swarm"}
    )
    with Trial(settings, tmp_path / "trial", peers=1, threads=1) as trial:
        trial.run(SPAN, lambda _: None, sample_seconds=1)
        pid = json.loads((tmp_path / "trial" / "peer-0" / "process.json").read_text())["pid"]
        footprint, shared = read_footprint(pid) or 0.0, read_shared_files(pid)
        below = sum(read_footprint(child.pid) or 0.0 for child in psutil.Process(pid).children(recursive=True))
        files = shared + _share_of_files(pid)

    record(PARTS, "trainer, without libraries", f"{(footprint + shared - files) / MIB:.0f} MiB", "")
    record(PARTS, "libraries and other mapped files", f"{files / MIB:.0f} MiB", "")
    record(PARTS, "DHT process, p2pd and torch's memory manager", f"{below / MIB:.0f} MiB", "")
    assert footprint > below > 0


def _share_of_files(pid: int) -> float:
    """Bytes of mapped files in the footprint."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_File:"):
            return 1024.0 * int(line.split()[1])
    return 0.0
