"""The phases that the telemetry reports are what real trainers really do, whatever they were told to do and when."""

import copy
import itertools
import json
import os
import subprocess
import sys
from functools import partial

import pytest
import torch
from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM, Trainer, TrainerCallback, TrainingArguments
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from exporter import telemetry as module
from exporter.progress.model import Progress
from exporter.telemetry import PeerTelemetry
from exporter.textfile_reader import parse, value_of
from tests.exporter.witness import FLOOR_SECONDS, REST_SECONDS, Dawdler, Line, Log, make_pace, numbers, witness_of
from trainer.data import byte_tokenizer

# Each is about a library's own use of another: dataloaders without an accelerator, deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore")

QUIET = {"report_to": [], "disable_tqdm": True, "use_cpu": True, "per_device_train_batch_size": 1}


@pytest.fixture
def log(monkeypatch):
    """The telemetry of the test measures time by its clock."""
    log = Log()
    monkeypatch.setattr(module, "Progress", partial(Progress, clock=log.clock, wall_clock=log.clock))
    yield log
    if log.telemetry:
        log.telemetry.close()


@pytest.fixture
def make(log, tmp_path):
    """A trainer of tiny size that is observed, with the telemetry between other callbacks."""

    def make(base=Trainer, *, before=(), after=(), dawdles=True, configured=TrainingArguments, given=None, **options):
        arguments = configured(str(tmp_path / "out"), **QUIET | {"save_strategy": "no", "max_steps": 4} | options)
        log.telemetry = PeerTelemetry(tmp_path / "run", pace=make_pace())
        first, last = (Dawdler(log, is_first=True), Dawdler(log, is_first=False)) if dawdles else (None, None)
        ours = [one for one in (*before, first, log.telemetry, *after, last) if one is not None]
        given = given or {"model": Line(), "train_dataset": numbers(6), "eval_dataset": numbers(3)}
        trainer = witness_of(base, log)(args=arguments, callbacks=ours, **given)
        trainer.args.per_device_eval_batch_size = options.get("per_device_eval_batch_size", 1)
        return trainer

    return make


def steps(log):
    return sum(one.what == "step" for one in log.seen)


STRATEGIES = [
    (evaluate, save, logs, 3 if place % 2 else 1)
    for place, (evaluate, save, logs) in enumerate(
        itertools.product(("no", "steps", "epoch"), ("no", "steps", "epoch", "best"), ("no", "steps", "epoch"))
    )
    if save != "best" or evaluate != "no"
]


@pytest.mark.parametrize(("evaluate", "save", "logs", "accumulate"), STRATEGIES)
def test_every_strategy_is_reported_as_it_happens(make, log, evaluate, save, logs, accumulate):
    trainer = make(
        eval_strategy=evaluate,
        eval_steps=2,
        save_strategy=save,
        save_steps=2,
        logging_strategy=logs,
        logging_steps=1,
        gradient_accumulation_steps=accumulate,
        metric_for_best_model="loss" if save == "best" else None,
        load_best_model_at_end=save == "best",
        save_total_limit=1,
        max_steps=3,
    )
    trainer.train()
    assert log.wrong() == []
    assert steps(log) == 3 * accumulate
    assert ("evaluation" in log.kinds()) == (evaluate != "no")
    assert ("checkpoint" in log.kinds()) == (save != "no")
    assert ("best model" in log.kinds()) == (save == "best")
    assert log.page().state() == "stopped"
    log.now += 1e9
    assert log.verdict() == "inactive"


def test_an_evaluation_before_the_first_step_and_of_several_sets(make, log):
    trainer = make(eval_strategy="epoch", eval_on_start=True, num_train_epochs=2, max_steps=-1)
    trainer.eval_dataset = {"one": numbers(2), "two": numbers(3)}
    trainer.train()
    assert log.wrong() == []
    began = [one.what for one in log.seen if one.what in ("evaluation begins", "step")]
    assert began[:3] == ["evaluation begins", "evaluation begins", "step"]
    assert began.count("evaluation begins") == 6


class Asks(TrainerCallback):
    """Asks for an evaluation and a checkpoint that no strategy announces, and saves without being asked."""

    trainer = None

    def on_step_end(self, args, state, control, **kwargs):
        control.should_evaluate = control.should_save = state.global_step == 2
        self.trainer.save_model(f"{args.output_dir}/own")

    def on_epoch_end(self, args, state, control, **kwargs):
        self.trainer.evaluate()


@pytest.mark.parametrize("place", ["before", "after"])
def test_what_another_callback_asks_for(make, log, place):
    asks = Asks()
    trainer = make(**{place: [asks]}, eval_strategy="steps", eval_steps=100)
    asks.trainer = trainer
    trainer.train()
    assert log.wrong() == []
    assert {"checkpoint", "evaluation", "save_model"} <= log.kinds()


def test_an_evaluation_within_a_step_returns_to_it(make, log):
    class Evaluates(TrainerCallback):
        def on_substep_end(self, args, state, control, **kwargs):
            trainer.evaluate()

    trainer = make(after=[Evaluates()], dawdles=False, gradient_accumulation_steps=2, max_steps=2)
    trainer.train()
    # Up to its first batch nothing tells an evaluation within a step from the step.
    assert [one for one in log.wrong() if one.what in ("evaluation", "step")] == []
    assert [one.what for one in log.seen].count("evaluation") == 2 * 2


def test_evaluating_and_predicting_after_training_return_to_its_end(make, log):
    trainer = make(dawdles=False)
    trainer.train()
    for act in (trainer.evaluate, lambda: trainer.predict(numbers(3))):
        act()
        assert log.page().state() == "stopped"
        log.now += REST_SECONDS
        assert log.verdict() == "inactive"
    trainer.train()
    assert log.wrong() == []
    assert log.page().state() == "stopped"


def test_a_trainer_that_evaluates_first_is_not_starting_any_more(make, log):
    trainer = make(dawdles=False)
    trainer.evaluate()
    assert log.page().state() == "waiting"
    log.now += REST_SECONDS
    assert log.verdict() == "inactive"


class Stream(torch.utils.data.IterableDataset):
    """Data that take long to read."""

    def __init__(self, log):
        self.log = log

    def __iter__(self):
        for row in numbers(12):
            self.log.pass_time("read", REST_SECONDS, expected="waiting")
            yield row


def test_a_resumed_training_that_skips_data_for_hours(make, log, tmp_path):
    make(dawdles=False, save_strategy="steps", save_steps=4).train()
    log.telemetry.close()
    log.seen.clear()
    given = {"model": Line(), "train_dataset": Stream(log)}
    make(dawdles=False, given=given, max_steps=6).train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-4"))
    assert log.wrong() == []
    reads = [one.what for one in log.seen if one.what in ("read", "step")]
    assert reads.index("step") >= 5
    assert steps(log) == 2


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_hang_within_a_step_is_found(make, log, accumulate):
    trainer = make(gradient_accumulation_steps=accumulate, max_steps=8)
    real, verdicts = trainer.compute_loss, []

    def hangs(*args, **kwargs):
        if trainer.state.global_step == 7:
            log.now += FLOOR_SECONDS + 1
            verdicts.append(log.verdict())
        return real(*args, **kwargs)

    trainer.compute_loss = hangs
    trainer.train()
    assert verdicts[0] == "active"


class Announces(TrainerCallback):
    """Says what the trainer does, as Peerwatch's own does: between its steps it does nothing else."""

    telemetry = None

    def on_train_begin(self, *args, **kwargs):
        self.telemetry.set_phase("training")


def test_a_trainer_that_announces_its_phases_is_judged_between_its_steps(make, log):
    announces = Announces()
    trainer = make(before=[announces], dawdles=False, max_steps=8)
    announces.telemetry = log.telemetry
    trainer.train()
    rests = [one.verdict for one in log.seen if one.what == "data"]
    assert rests == ["active"] * 8
    assert {one.phase for one in log.seen if one.what == "data"} == {"training"}
    assert log.page().state() == "stopped"


# TRL


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


@pytest.fixture
def model(tokenizer):
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokens = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=258, num_key_value_heads=2, **sizes, **tokens))


def _rows(**columns):
    return Dataset.from_dict({name: [text] * 6 for name, text in columns.items()})


TRAINERS = {
    "SFT": (SFTTrainer, SFTConfig, _rows(text="two words"), {}),
    "DPO": (DPOTrainer, DPOConfig, _rows(prompt="one", chosen=" two", rejected=" six"), {}),
    "GRPO": (
        GRPOTrainer,
        GRPOConfig,
        _rows(prompt="one"),
        {"num_generations": 2, "max_completion_length": 2, "per_device_train_batch_size": 2},
    ),
}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("kind", TRAINERS)
def test_the_trainers_of_trl(make, log, model, tokenizer, kind, accumulate):
    base, configured, rows, options = TRAINERS[kind]
    given = {
        "model": model,
        "processing_class": tokenizer,
        "train_dataset": rows,
        "eval_dataset": rows.select([0, 1, 2, 3]),
    }
    if kind == "DPO":
        given["ref_model"] = copy.deepcopy(model)
    if kind == "GRPO":
        given["reward_funcs"] = lambda completions, **_: [float(len(one)) for one in completions]
    trainer = make(
        base,
        configured=configured,
        given=given,
        eval_strategy="steps",
        eval_steps=2,
        eval_on_start=True,
        save_strategy="steps",
        save_steps=2,
        logging_steps=1,
        gradient_accumulation_steps=accumulate,
        gradient_checkpointing=False,
        per_device_eval_batch_size=2,
        bf16=False,
        max_steps=3,
        **options,
    )
    trainer.train()
    trainer.evaluate()
    assert log.wrong() == []
    assert steps(log) == 3 * accumulate
    assert {"evaluation", "checkpoint"} <= log.kinds()
    assert log.page().state() == "stopped"


# Several processes

RANKS = """
import os, sys, accelerate, torch, transformers
from exporter.telemetry import PeerTelemetry
from tests.exporter.witness import Line, numbers

telemetry = PeerTelemetry(sys.argv[1], write_interval_seconds=0.05)

def train():
    arguments = transformers.TrainingArguments(sys.argv[1] + "-out", report_to=[], disable_tqdm=True, use_cpu=True,
        max_steps=4, eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2, logging_steps=1)
    trainer = transformers.Trainer(
        Line(), arguments, train_dataset=numbers(64), eval_dataset=numbers(8), callbacks=[telemetry])
    trainer.train()
    telemetry.close() if len(sys.argv) > 2 else None
    said = ["rank", arguments.process_index, "of", arguments.world_size, "pid", os.getpid()]
    open(f"{sys.argv[1]}-{arguments.process_index}", "w").write(" ".join(map(str, said)))

accelerate.debug_launcher(train, num_processes=2) if len(sys.argv) > 2 else train()
"""


@pytest.mark.parametrize(
    ("launcher", "options"),
    [
        (("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"), ()),
        # It forks its processes after the callback was made.
        ((), ("accelerate",)),
    ],
    ids=("torchrun", "accelerate"),
)
def test_of_two_processes_the_first_one_reports(tmp_path, launcher, options):
    script, run = tmp_path / "ranks.py", tmp_path / "run"
    script.write_text(RANKS)
    command = [sys.executable, "-W", "ignore", *launcher, str(script), str(run), *options]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, env=_environment())
    assert ran.returncode == 0, ran.stdout + ran.stderr
    first, second = ((tmp_path / f"run-{rank}").read_text().split() for rank in (0, 1))
    assert (first[3], second[3], first[1], second[1]) == ("2", "2", "0", "1")
    samples = parse((run / "trainer.prom").read_text())
    assert value_of(samples, "trainer_steps_total") == 4
    states = {one.labels["trainer_state"]: one.value for one in samples if one.name == "trainer_state"}
    assert states["stopped"] == 1
    assert json.loads((run / "process.json").read_text())["pid"] == int(first[5])


def _environment():
    return {**os.environ, "PYTHONPATH": os.getcwd(), "MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true"}
