"""Known problems are recognised by lines as the trainers write them, and forgotten once the peer continues."""

import time

import pytest

from exporter.problems.classes import CLASSES
from exporter.problems.tally import MAX_LINE, classify, find_cause
from tests.architecture import ROOT
from tests.exporter.problems.problem_lines import LINES

# Of real runs, where they lie beside the checkout.
SAMPLES = ROOT.parent / "shared" / "samples" / "rl-swarm-0.4.3"

SPELT = [(message, line) for message, (lines, _) in LINES.items() for line in lines]
NEAR = [line for _, near in LINES.values() for line in near]


@pytest.mark.parametrize(("message", "line"), SPELT)
def test_a_known_line_is_recognised(message: str, line: str) -> None:
    ((problem, count),) = classify(f"Joining round: 7\n{line}\n")
    assert message in problem.message
    assert count == 1


@pytest.mark.parametrize("line", NEAR)
def test_a_line_that_only_sounds_like_it_is_no_problem(line: str) -> None:
    assert [problem.message for problem, _ in classify(f"{line}\n")] == []


def test_each_class_has_three_spellings_and_a_near_miss() -> None:
    for problem in CLASSES:
        ((lines, near),) = [pair for message, pair in LINES.items() if message in problem.message]
        assert len(lines) >= 3
        assert near


# The DHT's fault ends the run of wandb that the next report is logged to.
BROKEN_IPC = """\
2026-01-02 03:04:05,678 - WARN - hivemind_exp.trainer.hivemind_grpo_trainer:x:236 - DHT IPC error: [Errno 11] Resource \
temporarily unavailable. Restarting training...
2026-01-02 03:04:12,678 - ERROR - hivemind_exp.trainer.hivemind_grpo_trainer:x:343 - Exception during training
Traceback (most recent call last):
  File "/home/u/rl-swarm/hivemind_exp/trainer/hivemind_grpo_trainer.py", line 339, in train
    self._train()
wandb.errors.errors.Error: You must call wandb.init() before wandb.log()
"""


@pytest.mark.parametrize("begin", [0, BROKEN_IPC.index("Traceback")])
def test_a_lost_run_of_wandb_is_the_fault_of_the_connection_to_the_dht(begin: int) -> None:
    """Also where only the end of the traceback was read."""
    exception, problem, count = find_cause(BROKEN_IPC[begin:])
    assert exception == "wandb.errors.errors.Error: You must call wandb.init() before wandb.log()"
    assert problem is not None
    assert problem.message.startswith("the connection to the DHT process broke")
    assert count == (1 if begin else 2)
    assert "WANDB_MODE" not in problem.remedy


def test_a_report_to_wandb_before_its_start_is_a_mistake_of_the_script_elsewhere() -> None:
    text = f"{TRACEBACK}wandb.errors.errors.Error: You must call wandb.init() before wandb.log()\n"
    assert find_cause(text).problem is None


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the logs of real runs do not lie beside this checkout")
@pytest.mark.parametrize("log", ["swarm.log", "console.log"])
def test_the_logs_of_real_runs_are_judged_right(log: str) -> None:
    crashed = find_cause((SAMPLES / "current_batch-alfa" / log).read_text())
    assert crashed.problem is not None
    assert crashed.problem.message == "a stage had too few questions for the configuration"
    for peer in ("alfa", "bravo"):
        assert find_cause((SAMPLES / f"two-peers-{peer}" / log).read_text()) == (None, None, 0)


def test_an_error_that_the_trainer_recovered_from_does_not_count() -> None:
    assert classify("DHT IPC error: x\nJoining round: 8 starting at stage: 0\n") == []
    assert classify("DHT IPC error: x\n{'loss': '0.1', 'reward': '0.5'}\n") == []
    assert classify("DHT IPC error: x\nstep=12 round=3 stage=0 stage_reward=1.5\n") == []


def test_rewards_that_are_refused_outlive_a_round() -> None:
    ((problem, count),) = classify("Failed to submit to chain.\nJoining round: 8\nFailed to submit to chain.\n")
    assert problem.message == "rewards are not accepted by the chain"
    assert count == 2


def test_an_ordinary_log_holds_no_problem() -> None:
    assert classify("round 3, stage 1\nAlready finished round: 3. Next check in 300.0s\nSaving model\n") == []


def test_each_class_names_a_remedy() -> None:
    assert all(problem.remedy for problem in CLASSES)


OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of"
TRACEBACK = """Traceback (most recent call last):
  File "/opt/train.py", line 9, in <module>
    trainer.train()
    ~~~~~~~~~~~~~^^
"""
# What a launcher adds when a process below it has failed.
TORCHRUN = """E1128 10:00:00.000000 41 torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: 1)
Traceback (most recent call last):
  File "/opt/bin/torchrun", line 8, in <module>
    sys.exit(main())
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
"""


@pytest.mark.parametrize(
    ("text", "exception"),
    [
        (f"{{'loss': 0.5}}\n{TRACEBACK}{OUT_OF_MEMORY}\n", OUT_OF_MEMORY),
        # The bar is drawn again when the process ends.
        (f"{TRACEBACK}ValueError: bad\r\n  5%|5    | 1/20 [00:01<00:20,  1.07s/it]\n", "ValueError: bad"),
        (f"  5%|5 | 1/20 [00:01<00:20]{TRACEBACK}queue.Empty\n", "queue.Empty"),
        ("".join(f"[rank1]: {line}\n" for line in [*TRACEBACK.splitlines(), "KeyError: 'x'"]), "KeyError: 'x'"),
        (f"{TRACEBACK}KeyError: 'x'\n{TORCHRUN}", "KeyError: 'x'"),
        (TORCHRUN, "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:"),
        (
            "(main_task pid=41) ray.exceptions.RayTaskError(ValueError): ray::f() (pid=41)\n",
            "ray.exceptions.RayTaskError(ValueError): ray::f() (pid=41)",
        ),
        (
            f"{TRACEBACK}OSError: one\n\nDuring handling of the above exception, another exception occurred:\n\n"
            f"{TRACEBACK}\x1b[31mRuntimeError: two\x1b[0m\n",
            "RuntimeError: two",
        ),
        # Longer than what is read of the log.
        (
            '    loss.backward()\n  File "/opt/x.py", line 9, in f\nRuntimeError: shape\nmore of it\n',
            "RuntimeError: shape",
        ),
        ("Fatal Python error: Segmentation fault\n\nCurrent thread 0x1:\n", "Fatal Python error: Segmentation fault"),
        # It went on, or it was none.
        (f"{TRACEBACK}ValueError: caught\nStep 8 | Time: 1.2s | Loss: 0.1\n", None),
        (f"{TRACEBACK}ValueError: caught\nIter 9: Train loss 2.1\n", None),
        ("The answer is ValueError: a kind of error.\nKilled\n", None),
        ("", None),
    ],
)
def test_the_exception_that_ended_a_trainer_is_found(text: str, exception: str | None) -> None:
    assert find_cause(text).exception == exception


def test_a_launcher_or_another_rank_does_not_hide_the_cause() -> None:
    """Its exception is the last one; the rank's own stands before it, or the system's word."""
    for cause in (OUT_OF_MEMORY, "  traceback : Signal 9 (SIGKILL) received by PID 4242"):
        found = find_cause(f"{cause}\n{TORCHRUN}").problem
        assert found is not None
        assert not found.is_vague, found.message
    alone = find_cause(TORCHRUN).problem
    assert alone is not None
    assert alone.message == "a process below the launcher ended with an error"
    lost = find_cause(
        f"{TRACEBACK}torch.distributed.DistBackendError: NCCL error in: x, remote process exited or there "
        f"was a network error\nNCCL WARN Cuda failure 2 'out of memory'\n"
    ).problem
    assert lost is not None
    assert lost.name == "out_of_memory"


def test_a_token_that_may_not_read_is_no_model_that_could_not_be_pushed() -> None:
    for address, name in (("api/models/x/y", "hub_refused"), ("api/models/x/y/commit/main", "push_failed")):
        line = f"requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: https://huggingface.co/{address}"
        assert [problem.name for problem, _ in classify(line)] == [name]


def test_the_problem_is_that_of_the_exception_or_of_another_line() -> None:
    found = find_cause(f"Address already in use\n{TRACEBACK}{OUT_OF_MEMORY}\n").problem
    assert found is not None
    assert found.message == "a step needed more memory than there is"
    assert find_cause("step 3\nKilled\n").problem == CLASSES[0]
    # Such a line is no reason to end.
    assert find_cause("Could not fetch round and stage: x\n").problem is None


HOSTILE = (
    *("429 ", "huggingface ", "p2pd ", "identity ", "api/submit-a ", "400 ", "endpoint ", "terminated ", "exit code "),
    *(
        "HTTPSConnectionPool(host='",
        "ProcessGroupNCCL",
        "CalledProcessError: Command 'python",
        "lookup a.",
        "ligne 1: ",
    ),
    *(
        "it/s",
        "Call to recv from a",
        "Couldn't reach 'a",
        "huggingface.co/api/a",
        "exited with code [1] ",
        "NCCL WARN a",
    ),
    *("MemoryError ", "[0]:", "a.", "Traceback (most recent call last):", "  | ", "\x1b[", "step ", "pid=1 "),
)


def test_a_hostile_line_costs_linear_time() -> None:
    """One of twenty thousand characters: with a pattern of quadratic time this takes minutes."""
    lines = [seed * (20_000 // len(seed)) for seed in HOSTILE] + [f"[1]{' ' * 20_000}x", f"exit code{' ' * 20_000}x"]
    begun = time.thread_time()
    for line in lines:
        for problem in CLASSES:
            problem.pattern.search(line)
        find_cause(line)
    assert time.thread_time() - begun < 10
    assert find_cause(f"ValueError: {'x' * 10**6}\n").exception == f"ValueError: {'x' * 10**6}"[:MAX_LINE]
