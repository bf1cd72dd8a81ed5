"""What rl-swarm's logs of each release tell: steps, rounds, stages, reward, and what the trainer does."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from exporter.pace import Pace
from exporter.problems.tally import classify
from exporter.progress.formats.rl_swarm import Format
from exporter.progress.readers.log import Reader
from exporter.progress.reported import ReportedProgress
from tests.architecture import ROOT

# Of real runs, where they lie beside the checkout.
SAMPLES = ROOT.parent / "shared" / "samples" / "rl-swarm-0.4.3"

START = datetime.fromisoformat("2026-11-28 03:00:00").timestamp()
TRAINER = "hivemind_exp.trainer.hivemind_grpo_trainer:meek soaring vulture"


def at(seconds: float) -> str:
    moment = datetime.fromtimestamp(START + seconds)
    return f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d}"


def of_stages(seconds: float, message: str, level: str = "INFO", name: str = f"{TRAINER}:170") -> str:
    """A line as 0.4 logs it."""
    return f"{at(seconds)} - {level} - {name} - {message}\n"


def of_rounds(seconds: float, message: str, level: str = "INFO") -> str:
    """A line as 0.6 and 0.7 log it."""
    return f"[{at(seconds)}][genrl.logging_utils.global_defs][{level}] - {message}\n"


def of_names(seconds: float, message: str) -> str:
    """A line as 0.5 logs it."""
    return f"[meek soaring vulture] {at(seconds)} INFO: {message}\n"


def printed(seconds: float, reward: float) -> str:
    logged = {
        "loss": -0.0,
        "grad_norm": 0.48,
        "reward": reward,
        "frac_reward_zero_std": 1.0,
        "kl": 0.0005,
        "epoch": 1.5,
    }
    return of_stages(seconds, f"[PRINT] {logged}", "DEBUG", "root:144")


def collect(path: Path, lines: Sequence[str], seconds: float) -> dict[str, float]:
    """The samples of the first collection, so many seconds after the start; of one with labels, by these too."""
    path.write_text("".join(lines), encoding="utf-8")
    os.utime(path, (START + seconds, START + seconds))
    progress = ReportedProgress({"log": Reader(path)}, Pace())
    return {" ".join([one.name, *one.labels.values()]): one.value for one in progress.read(START + seconds)}


def state(found: dict[str, float]) -> str:
    (name,) = [key.rpartition(" ")[2] for key, value in found.items() if key.startswith("trainer_state ") and value]
    return name


CONFIGURATION = "logging_steps=2,\n"
# One stage of ten reports, as 0.4 logs it with its usual configuration.
STAGE = [
    of_stages(0, "Training/evaluation parameters GRPOConfig(", "DEBUG", "hivemind_exp.runner.grpo_runner:169"),
    CONFIGURATION,
    of_stages(1, "🐱 Hello 🐈 [meek soaring vulture] 🦮 [QmfPgNGrPryMxduaW1knsJnUDJHT9892ykz6PAqq1CxhFe]!"),
    of_stages(2, "🐝 Joining round: 7 starting at stage: 0"),
    of_stages(2, "📈 Training round: 7 stage: 0"),
    *(printed(4 + 2 * report, report / 10) for report in range(10)),
    of_stages(23, "[PRINT] {'train_runtime': 20.8, 'train_loss': -0.017, 'epoch': 1.56}", "DEBUG", "root:144"),
    of_stages(24, "Saving model"),
]


class TestStages:
    def test_steps_reward_and_place_are_told_by_the_first_collection(self, tmp_path: Path) -> None:
        found = collect(tmp_path / "swarm.log", STAGE[:-1], 23.5)
        assert found["trainer_steps_total"] == 20
        assert (found["swarm_round"], found["swarm_stage"]) == (7, 0)
        assert found["trainer_reward_mean"] == 0.9
        assert found["trainer_last_step_timestamp_seconds"] == START + 22
        assert found["trainer_progress_unit step"] == 1
        assert state(found) == "training"
        assert "swarm_publish_failures_total" not in found

    def test_a_trainer_that_saves_says_so(self, tmp_path: Path) -> None:
        assert state(collect(tmp_path / "swarm.log", STAGE, 25)) == "saving"
        after = [*STAGE, of_stages(30, "Model saved to runs/tiny-meek_soaring_vulture")]
        assert state(collect(tmp_path / "swarm.log", after, 31)) == "training"

    def test_the_next_stage_is_told_before_its_first_report(self, tmp_path: Path) -> None:
        after = [*STAGE, of_stages(30, "Model saved to runs/x"), of_stages(31, "📈 Training round: 7 stage: 1")]
        found = collect(tmp_path / "swarm.log", after, 32)
        assert (found["swarm_round"], found["swarm_stage"], found["trainer_steps_total"]) == (7, 1, 20)

    def test_reports_count_where_the_configuration_was_not_read(self, tmp_path: Path) -> None:
        found = collect(tmp_path / "swarm.log", [line for line in STAGE if line != CONFIGURATION], 23)
        assert found["trainer_steps_total"] == 10

    def test_a_log_that_begins_anew_counts_from_the_start(self, tmp_path: Path) -> None:
        path = tmp_path / "swarm.log"
        path.write_text("".join(STAGE), encoding="utf-8")
        reader = Reader(path)
        assert [record.step for record in reader.read(START + 40) if record.values][-1] == 20
        path.write_text("".join([CONFIGURATION, printed(50, 0.5)]), encoding="utf-8")
        assert [record.step for record in reader.read(START + 60)] == [2]

    def test_waiting_is_no_progress_and_no_stall(self, tmp_path: Path) -> None:
        lines = [*STAGE[:-1], of_stages(40, "Already finished round: 7. Next check in 300.0s")]
        found = collect(tmp_path / "swarm.log", lines, 50)
        assert state(found) == "waiting"
        assert found["trainer_steps_total"] == 20
        assert found["trainer_phase_start_timestamp_seconds"] == START + 40
        assert found["trainer_stall_after_seconds"] == 1800


class TestRounds:
    @pytest.mark.parametrize("line", [of_rounds, of_names])
    def test_rounds_and_their_pace_are_told_by_the_first_collection(self, tmp_path: Path, line) -> None:
        lines = [line(0, "🐝 Hello [meek soaring vulture] [QmfPgNGrPryMxduaW1knsJnUDJHT9892ykz6PAqq1CxhFe]!")]
        for number in range(8):
            begin = 10 + 600 * number
            lines += [
                line(begin, f"Starting round: {100 + number}/1000000."),
                line(begin + 120, f"Already finished round: {99 + number}. Next check in 5.0s."),
                line(begin + 240, f"Already finished round: {99 + number}. Next check in 300.0s."),
                line(begin + 600, f"🐝 Joining round: {101 + number}"),
            ]
        found = collect(tmp_path / "swarm_launcher.log", lines, 4830)
        assert found["trainer_steps_total"] == found["swarm_round"] == 108
        assert found["trainer_progress_unit round"] == 1
        assert state(found) == "training"
        # A round takes 120 s of work; what it waits for the swarm is not part of it.
        assert found["trainer_step_duration_seconds_sum"] == pytest.approx(8 * 120)
        assert 360 <= found["trainer_stall_after_seconds"] < 1800
        assert not {"trainer_reward_mean", "swarm_stage"} & found.keys()

    def test_a_trainer_that_waits_is_alive_as_long_as_it_says_so(self, tmp_path: Path) -> None:
        lines = [of_rounds(0, "Starting round: 7/1000000.")]
        lines += [of_rounds(100 + 900 * one, "Already finished round: 6. Next check in 900.0s.") for one in range(12)]
        found = collect(tmp_path / "swarm_launcher.log", lines, 11_000)
        assert state(found) == "waiting"
        assert found["swarm_round"] == 7
        assert found["trainer_phase_start_timestamp_seconds"] == START + 10_000
        assert found["trainer_phase_seconds_total waiting"] == pytest.approx(10_900)

    def test_but_not_for_ever(self, tmp_path: Path) -> None:
        lines = [of_rounds(0, "Starting round: 7/1000000.")]
        lines += [of_rounds(900 * one, "Already finished round: 6. Next check in 900.0s.") for one in range(1, 60)]
        found = collect(tmp_path / "swarm_launcher.log", lines, 53_200)
        silence = START + 53_200 - found["trainer_phase_start_timestamp_seconds"]
        assert silence > found["trainer_stall_after_seconds"] == 1800

    def test_a_console_without_times_is_read_too(self, tmp_path: Path) -> None:
        found = collect(tmp_path / "run.log", ["Starting round: 7/1000000.\n", "🐝 Joining round: 8\n"], 10)
        assert (found["swarm_round"], state(found)) == (8, "training")


# Of every line that tells progress: as (step, unit, phase, round, stage) what it tells; and one that only looks so.
LINES = (
    (
        "🐝 Joining round: 5 starting at stage: 1",
        (None, "step", "training", 5, 1),
        "Joining round: 5 starting at stage x",
    ),
    ("📈 Training round: 5 stage: 2", (None, "step", "training", 5, 2), "📉 Finished training round: 5 stage: 2"),
    ("Starting round: 12/1000000.", (12, "round", "training", 12, None), "Restarting round: 12/1000000."),
    ("🐝 Joining round: 13", (13, "round", "training", 13, None), "Joining rounds: 13"),
    ("Joining round: 13", (13, "round", "training", 13, None), "joining round 13 of the discussion"),
    (
        "Already finished round: 9. Next check in 300.0s",
        (None, "step", "waiting", None, None),
        "Already finished round: nine. Next check in 300.0s",
    ),
    ("Saving model", (None, "step", "saving", None, None), "Saving model checkpoint to runs/x"),
    ("Model saved to runs/x", (None, "step", "training", None, None), "The model is saved to runs/x"),
)


@pytest.mark.parametrize(("line", "told", "near"), LINES)
@pytest.mark.parametrize("around", [of_stages, of_rounds, of_names])
def test_each_line_is_told_from_one_that_looks_like_it(line: str, told: tuple, near: str, around) -> None:
    (found,) = Format().parse(around(0, line).rstrip("\n"))
    assert (found.step, found.unit, found.phase, found.round, found.stage) == told
    assert list(Format().parse(around(0, near).rstrip("\n"))) == []


# Behind which a trainer has recovered from its earlier errors; and one that only looks so.
RECOVERED = (
    ("🐝 Joining round: 5 starting at stage: 1", "Rejoining round 5 starting at stage 1"),
    ("📈 Training round: 5 stage: 2", "Training rounds: 5 stages: 2"),
    ("📉 Finished training round: 5 stage: 2", "Finished training rounds 5 to 7"),
    ("Submitting winners for round 5: ['Qm']", "Submitting winner for round 5"),
    ("Starting round: 12/1000000.", "Starting rounds 12/1000000."),
    ("🐝 Joining round: 13", "Joining rounds: 13"),
    ("[PRINT] {'loss': 0.0, 'reward': 0.25, 'epoch': 1.5}", "[PRINT] {loss: 0.0, epoch: 1.5}"),
)
# Neither progress nor a problem.
ORDINARY = (
    "🐱 Hello 🐈 [meek soaring vulture] 🦮 [QmfPgNGrPryMxduaW1knsJnUDJHT9892ykz6PAqq1CxhFe]!",
    "🐝 Hello [meek soaring vulture] [QmfPgNGrPryMxduaW1knsJnUDJHT9892ykz6PAqq1CxhFe]!",
    "Registering self with peer ID: QmfPgNGrPryMxduaW1knsJnUDJHT9892ykz6PAqq1CxhFe",
    "Peer ID [QmfPgNGrPryMxduaW1knsJnUDJHT9892ykz6PAqq1CxhFe] is already registered! Continuing.",
    "✅ Connected to Gensyn Testnet",
    "============!!!Joining CodeZero Swarm!!!============",
    "Using Model: Gensyn/Qwen2.5-0.5B-Instruct",
    "bootnodes: ['/ip4/38.101.215.12/tcp/30011/p2p/QmQ2gEXoPJg6iMBSUFWGzAabS2VhnzuS782Y637hGjfsRJ']",
    "Already finished round: 5. Next check in 300.0s.",
    "Saving model",
    "Model saved to runs/tiny-meek_soaring_vulture",
    "pushing model to huggingface",
    ">> Shutting down trainer...",
)
FAILED = "Could not fetch round and stage: timed out"


@pytest.mark.parametrize("around", [of_stages, of_rounds, of_names])
def test_an_error_is_over_with_progress_and_with_nothing_else(around) -> None:
    def last(line: str) -> int:
        return sum(count for _, count in classify(around(0, FAILED) + around(1, line)))

    for line, near in RECOVERED:
        assert (last(line), last(near)) == (0, 1), line
    for line in ORDINARY:
        assert last(line) == 1, line


def test_the_numbers_of_other_lines_are_no_rounds() -> None:
    for line in ("Submitting winners for round 7: ['Qm']", "Could not retrieve local outputs for round 3 stage 1", ""):
        assert list(Format().parse(of_stages(0, line).rstrip("\n"))) == []


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the logs of real runs do not lie beside this checkout")
@pytest.mark.parametrize(
    ("run", "steps", "place"), [("two-peers-alfa", 180, (2, 2)), ("current_batch-alfa", 30, (0, 2))]
)
def test_a_real_run_of_stages(run: str, steps: int, place: tuple[int, int]) -> None:
    path = SAMPLES / run / "swarm.log"
    progress = ReportedProgress({"log": Reader(path)}, Pace())
    found = {one.name: one.value for one in progress.read(path.stat().st_mtime + 10**9)}
    assert found["trainer_steps_total"] == steps
    assert (found["swarm_round"], found["swarm_stage"]) == place
