"""The phases that the telemetry reports are what real trainers really do, whatever they were told to do and when.

`make test` pairs each strategy with each other; `make bench` plays every combination of the three.
"""

import copy
import itertools
import json
import os
import subprocess
import sys
import threading
from functools import partial

import greenlet
import pytest

from exporter.progress.model import Progress
from exporter.textfile_reader import parse, value_of
from tests.fakes import wait_for
from tests.lazy import lazily

telemetry_module = lazily("exporter.telemetry")
trainings = lazily("tests.exporter.trainings")
transformers = lazily("transformers")
witness = lazily("tests.exporter.witness")

# Each is about a library's own use of another: dataloaders without an accelerator, deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore")

QUIET = {"report_to": [], "disable_tqdm": True, "use_cpu": True, "per_device_train_batch_size": 1}


@pytest.fixture
def log(monkeypatch):
    """The telemetry of the test measures time by its clock."""
    log = witness.Log()
    monkeypatch.setattr("exporter.telemetry.Progress", partial(Progress, clock=log.clock, wall_clock=log.clock))
    yield log
    if log.telemetry:
        log.telemetry.close()


@pytest.fixture
def make(log, tmp_path):
    """A trainer of tiny size that is observed, with the telemetry between other callbacks."""

    def make(base=None, *, before=(), after=(), dawdles=True, configured=None, given=None, **options):
        configured = configured or transformers.TrainingArguments
        arguments = configured(str(tmp_path / "out"), **QUIET | {"save_strategy": "no", "max_steps": 4} | options)
        log.telemetry = telemetry_module.PeerTelemetry(tmp_path / "run", pace=witness.make_pace())
        first, last = [witness.Dawdler(log, is_first=one) if dawdles else None for one in (True, False)]
        ours = [one for one in (*before, first, log.telemetry, *after, last) if one is not None]
        given = given or {
            "model": witness.Line(),
            "train_dataset": witness.numbers(6),
            "eval_dataset": witness.numbers(3),
        }
        trainer = witness.witness_of(base or transformers.Trainer, log)(args=arguments, callbacks=ours, **given)
        trainer.args.per_device_eval_batch_size = options.get("per_device_eval_batch_size", 1)
        return trainer

    return make


def steps(log):
    return sum(one.what == "step" for one in log.seen)


def usual_step(log):
    """As it was known at the last step."""
    return [one.usual for one in log.seen if one.what == "step"][-1]


WHEN = ("no", "steps", "epoch")
STRATEGIES = [
    pytest.param(
        *(WHEN[evaluate], save, WHEN[logs], 3 if (evaluate + place + logs) % 2 else 1),
        # A Latin square holds each pair once.
        marks=[] if (evaluate + place) % 3 == logs else [pytest.mark.bench],
    )
    for evaluate, (place, save), logs in itertools.product(range(3), enumerate((*WHEN, "best")), range(3))
    if save != "best" or WHEN[evaluate] != "no"
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
    trainer.eval_dataset = {"one": witness.numbers(2), "two": witness.numbers(3)}
    trainer.train()
    assert log.wrong() == []
    began = [one.what for one in log.seen if one.what in ("evaluation begins", "step")]
    assert began[:3] == ["evaluation begins", "evaluation begins", "step"]
    assert began.count("evaluation begins") == 6


@pytest.mark.parametrize("place", ["before", "after"])
def test_what_another_callback_asks_for(make, log, place):
    asks = trainings.Asks()
    trainer = make(**{place: [asks]}, eval_strategy="steps", eval_steps=100)
    asks.trainer = trainer
    trainer.train()
    assert log.wrong() == []
    assert {"checkpoint", "evaluation", "save_model"} <= log.kinds()


def test_an_evaluation_within_a_step_returns_to_it(make, log):
    class Evaluates(transformers.TrainerCallback):
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
    for act in (trainer.evaluate, lambda: trainer.predict(witness.numbers(3))):
        act()
        assert log.page().state() == "stopped"
        log.now += witness.REST_SECONDS
        assert log.verdict() == "inactive"
    trainer.train()
    assert log.wrong() == []
    assert log.page().state() == "stopped"


def test_a_trainer_that_evaluates_first_is_not_starting_any_more(make, log):
    trainer = make(dawdles=False)
    trainer.evaluate()
    assert log.page().state() == "waiting"
    log.now += witness.REST_SECONDS
    assert log.verdict() == "inactive"


def test_a_resumed_training_that_skips_data_for_hours(make, log, tmp_path):
    make(dawdles=False, save_strategy="steps", save_steps=4).train()
    log.telemetry.close()
    log.seen.clear()
    given = {"model": witness.Line(), "train_dataset": trainings.Stream(log)}
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
            log.now += witness.FLOOR_SECONDS + 1
            verdicts.append(log.verdict())
        return real(*args, **kwargs)

    trainer.compute_loss = hangs
    trainer.train()
    assert verdicts[0] == "active"


@pytest.mark.parametrize("ending", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["training_step", "evaluation_loop", "_save_checkpoint"])
def test_a_training_that_is_left_rests_until_the_next_one(make, log, ending, where):
    """As a notebook does that was interrupted, and a script that catches what its training raises."""
    trainer = make(dawdles=False, max_steps=9, eval_strategy="steps", eval_steps=8, save_strategy="steps", save_steps=8)
    real = getattr(trainer, where)

    def breaks_off(*args, **kwargs):
        if trainer.state.global_step == 8:
            log.now += 100 * witness.REST_SECONDS
            raise ending
        return real(*args, **kwargs)

    setattr(trainer, where, breaks_off)
    with pytest.raises(ending):
        trainer.train()
    wait_for(lambda: log.page().state() == "waiting", 60, "the end of the training")
    log.now += witness.REST_SECONDS
    assert log.verdict() == "inactive"
    setattr(trainer, where, real)
    trainer.evaluate()
    assert log.page().state() == "waiting"
    trainer.train()
    assert log.wrong() == []
    assert usual_step(log) == witness.STEP_SECONDS
    assert log.page().state() == "stopped"


def test_a_training_that_is_left_is_noticed_while_another_thread_reports(make, log):
    trainer = make(dawdles=False)
    trainer.compute_loss = trainings.interrupted
    is_over = threading.Event()

    def report():
        while not is_over.wait(0.01):
            log.telemetry.set_connected_peers(3)

    thread = threading.Thread(target=report)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
        wait_for(lambda: log.page().state() == "waiting", 20, "the end of the training")
    finally:
        is_over.set()
        thread.join()


def test_a_step_that_waits_in_a_greenlet_is_not_left(make, log):
    """As a reward function does that drives a browser: the thread shows another stack meanwhile."""
    trainer = make(dawdles=False, max_steps=7)
    real, verdicts = trainer.compute_loss, []

    def waits(*args, **kwargs):
        def elsewhere():
            log.pass_time("greenlet", 0.0, expected="training")
            if trainer.state.global_step == 6:
                log.now += witness.FLOOR_SECONDS + 1
                verdicts.append(log.verdict())

        greenlet.greenlet(elsewhere).switch()
        return real(*args, **kwargs)

    trainer.compute_loss = waits
    trainer.train()
    assert log.wrong() == []
    assert verdicts == ["active"]


def test_a_training_with_other_settings_has_a_pace_of_its_own(make, log):
    trainer = make(dawdles=False, max_steps=7)
    trainer.train()
    for batch, expected in ((1, witness.STEP_SECONDS), (4, None)):
        trainer.args.per_device_train_batch_size, trainer.args.max_steps = batch, 1
        trainer.train()
        assert usual_step(log) == expected


def test_a_callback_that_is_given_twice_counts_once(make, log):
    trainer = make(dawdles=False)
    trainer.add_callback(log.telemetry)
    trainer.train()
    trainer.train()
    assert log.page().value("trainer_steps_total") == 2 * 4
    assert log.wrong() == []


def test_a_trainer_that_announces_its_phases_is_judged_between_its_steps(make, log):
    announces = trainings.Announces()
    trainer = make(before=[announces], dawdles=False, max_steps=8)
    announces.telemetry = log.telemetry
    trainer.train()
    rests = [one.verdict for one in log.seen if one.what == "data"]
    assert rests == ["active"] * 8
    assert {one.phase for one in log.seen if one.what == "data"} == {"training"}
    assert log.page().state() == "stopped"


# TRL


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("kind", ["SFT", "DPO", "GRPO"])
def test_the_trainers_of_trl(make, log, kind, accumulate):
    base, configured, rows, options = trainings.TRAINERS[kind]
    tokenizer = trainings.byte_tokenizer()
    model = trainings.make_model(tokenizer)
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
import functools, json, os, sys, accelerate, torch, transformers
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
import exporter.telemetry
from tests.exporter.witness import Line, Log, make_pace, numbers, witness_of

log = Log()
exporter.telemetry.Progress = functools.partial(exporter.telemetry.Progress, clock=log.clock, wall_clock=log.clock)

def begin(folder):
    return exporter.telemetry.PeerTelemetry(folder, pace=make_pace(), write_interval_seconds=0.05)

def train(folder, telemetry=None, is_forked=True):
    log.telemetry = telemetry = telemetry or begin(folder)
    arguments = transformers.TrainingArguments(folder + "-out", report_to=[], disable_tqdm=True, use_cpu=True,
        max_steps=4, eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2, logging_steps=1,
        per_device_eval_batch_size=1)
    trainer = witness_of(transformers.Trainer, log)(
        Line(), arguments, train_dataset=numbers(64), eval_dataset=numbers(8), callbacks=[telemetry])
    trainer.train()
    trainer.evaluate()
    telemetry.close() if is_forked else None
    at = arguments.process_index
    said = {"rank": at, "of": arguments.world_size, "pid": os.getpid(), "did": list(log.kinds()),
        "wrong": list(map(str, log.wrong()))}
    json.dump(said, open(f"{folder}-{at}", "w"))

def torchrun(folder):
    config = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=2, run_id="run", start_method="fork", max_restarts=0,
        rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0")
    elastic_launch(config, train)(folder)

def accelerated(folder):
    # It forks its processes after the callback was made.
    telemetry = begin(folder)
    accelerate.debug_launcher(train, (folder, telemetry), num_processes=2)

if __name__ == "__main__":
    if len(sys.argv) > 2:
        train(sys.argv[1], is_forked=False)
    else:
        torchrun(sys.argv[1] + "/torchrun")
        accelerated(sys.argv[1] + "/accelerate")
"""


def launch(folder, arguments, *launcher):
    script = folder / "ranks.py"
    script.write_text(RANKS)
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true"}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", *launcher, script, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """Folders of two trainings, launched from one process that has imported everything."""
    folder = tmp_path_factory.mktemp("ranks")
    launch(folder, [folder])
    return folder


def check_ranks(run):
    both = [json.loads(run.with_name(f"{run.name}-{rank}").read_text()) for rank in (0, 1)]
    for rank, one in enumerate(both):
        assert (one["rank"], one["of"], one["wrong"]) == (rank, 2, [])
        assert {"checkpoint", "data", "evaluation", "log", "step"} <= set(one["did"])
    samples = parse((run / "trainer.prom").read_text())
    assert value_of(samples, "trainer_steps_total") == 4
    states = {one.labels["trainer_state"]: one.value for one in samples if one.name == "trainer_state"}
    assert states["stopped"] == 1
    assert json.loads((run / "process.json").read_text())["pid"] == both[0]["pid"]


@pytest.mark.parametrize("launcher", ["torchrun", "accelerate"])
def test_of_two_processes_the_first_one_reports(launched, launcher):
    """Launched by what the command torchrun runs; the command itself is launched in `make bench`."""
    check_ranks(launched / launcher)


@pytest.mark.bench
def test_of_two_processes_of_the_command_torchrun_the_first_one_reports(tmp_path):
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
    launch(tmp_path, [tmp_path / "run", "alone"], *launcher)
    check_ranks(tmp_path / "run")
