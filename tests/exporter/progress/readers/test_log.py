"""Each trainer's printed reports are read from the file that its output goes to."""

import os
import re
import time
from datetime import datetime

import pytest

from exporter.progress import formats
from exporter.progress.names import translate
from exporter.progress.readers.log import Reader
from exporter.progress.record import ReadError
from tests.exporter.progress.log_file import read, write

# What transformers 4.51 and TRL 0.19 print, shortened.
VERSION_4 = (
    "{{'loss': {loss}, 'grad_norm': 0.5079683661460876, 'learning_rate': 5e-07, 'reward': {reward}, 'epoch': {epoch}}}"
)
BAR = "\r {percent:3.0f}%|▌         | {step}/{total} [00:01<00:33,  1.76s/it]"


@pytest.fixture
def log(tmp_path):
    return tmp_path / "run.log"


def draw(step, total=20):
    return BAR.format(percent=100 * step / total, step=step, total=total)


def print_dict(loss=0.1, reward=0.5, epoch=0.16):
    return VERSION_4.format(loss=loss, reward=reward, epoch=epoch) + "\n"


def steps(records):
    return [record.step for record in records]


class TestTransformers:
    def test_version_4_prints_numbers_and_what_is_none(self, log):
        text = "{'loss': nan, 'reward': None, 'reward_std': 'nan', 'kl': 1.38e-09, 'num_tokens': 52, 'epoch': 0.5, "
        text += "'entropy': tensor(0.5, device='cuda:0')}\n"
        (record,) = read(log, text)
        assert record.values.keys() == {"loss", "reward_std", "kl", "entropy", "num_tokens", "epoch"}
        assert record.values["kl"] == 1.38e-09
        assert record.values["loss"] != record.values["loss"]

    def test_a_loop_of_ones_own_may_print_its_step(self, log):
        records = read(log, "{'step': 7, 'loss': 0.5}\n{'step': 8, 'status': 3}\n{'global_step': 9, 'reward': 1.0}\n")
        assert steps(records) == [7, 9]

    def test_a_loop_of_ones_own_may_print_no_step(self, log):
        told = "{'loss': 0.5, 'grad_norm': 0.1}\n{'reward': '0.25', 'kl': '0.1', 'note': 'x'}\n"
        other = (
            "{'prompt': '2+2', 'reward': 1.0}\n{'learning_rate': 5e-07, 'beta': 0.04}\n{'kl': 0.1, 'entropy': 1.0}\n"
        )
        other += "{'eval_loss': 0.5, 'eval_reward': 0.5}\n"
        assert [
            record.values["loss" if "loss" in record.values else "reward"] for record in read(log, told + other)
        ] == [
            0.5,
            0.25,
        ]

    def test_a_reward_that_no_function_gave_is_not_a_number(self, log):
        text = "{'loss': '0', 'reward': None, 'reward_std': None, 'frac_reward_zero_std': '0', 'epoch': '0.5'}\n"
        (record,) = read(log, text)
        assert record.values["reward"] != record.values["reward"]
        assert record.values.keys() == {"loss", "reward", "frac_reward_zero_std", "epoch"}

    def test_the_bar_drawn_behind_a_report_tells_its_step(self, log):
        # tqdm draws at most ten bars a second, so the one before may be old; print clears it and draws it again.
        text = draw(0) + draw(1) + "\r   \r" + print_dict() + draw(10) + draw(11)
        records = read(log, text)
        assert [(r.step, r.total_steps, bool(r.values)) for r in records] == [(10, 20, True), (11, 20, False)]

    def test_a_report_whose_bar_is_not_drawn_yet_waits_for_it(self, log):
        reader = Reader(log)
        write(log, draw(9) + "\r   \r" + print_dict())
        assert steps(reader.read(time.time())) == [9]
        write(log, draw(10))
        (record,) = reader.read(time.time())
        assert record.step == 10
        assert record.values

    def test_reports_that_no_bar_follows_any_more_are_told_without_step(self, log):
        reader = Reader(log)
        write(log, draw(1) + "\n")
        told = list(reader.read(time.time()))
        for _ in range(5):
            write(log, print_dict())
            told += reader.read(time.time())
        told += reader.read(time.time())
        assert [bool(record.values) for record in told] == [False] + [True] * 5
        assert steps(told)[3:] == [None] * 3

    def test_without_a_bar_no_step_is_told(self, log):
        assert steps(read(log, print_dict() * 3)) == [None] * 3

    def test_a_bar_alone_is_progress(self, log):
        reader = Reader(log)
        write(log, draw(0) + draw(1))
        assert reader.read(time.time())[0][:2] == ({}, 1)
        assert reader.read(time.time()) == []
        write(log, draw(2) + draw(3))
        assert steps(reader.read(time.time())) == [3]

    @pytest.mark.parametrize(
        "other",
        [
            "Map: 100%|██████████| 50/50 [00:00<00:00, 2115.24 examples/s]\r",
            "Loading checkpoint shards:  50%|#####     | 1/2 [00:00<00:00,  5.83it/s]\r",
            "Val:  50%|#####     | 4/8 [00:00<00:00,  5.83it/s]\r",
            "\n\r 25%|██▌       | 2/8 [00:00<00:00, 20.00it/s]\x1b[A\r",
        ],
    )
    def test_other_bars_are_none_of_training(self, log, other):
        assert read(log, other) == []

    def test_evaluation_and_summary_are_no_training(self, log):
        text = (
            "{'eval_loss': '-0.0597', 'eval_reward': '0.5', 'epoch': '0.3', 'memory(GiB)': 1.0}\n"
            "{'train_runtime': '2.2', 'train_loss': '0.1', 'epoch': '1'}\n"
        )
        assert read(log, text) == []

    def test_a_dictionary_that_bars_cut_is_put_together(self, log):
        whole = print_dict(loss=0.25)
        text = draw(1) + "\r" + whole[:30] + draw(2) + draw(3) + whole[30:] + draw(4)
        records = read(log, text)
        assert [r.values["loss"] for r in records if r.values] == [0.25]
        assert [r.step for r in records if r.values] == [None]

    def test_stages_that_count_from_the_start_are_one_trainer(self, log):
        stage = draw(0) + "".join(
            print_dict(reward=step / 20, epoch=step / 12) + draw(step) for step in range(2, 22, 2)
        )
        records = read(log, stage * 5)
        assert len(records) == 50

    def test_the_log_of_an_earlier_rl_swarm(self, log):
        line = "2026-11-28 03:23:{:02d},191 - DEBUG - root:144 - [PRINT] "
        now = datetime.fromisoformat("2026-11-28 03:23:40").timestamp()
        log.write_text("".join(line.format(second) + print_dict() for second in (9, 13, 17)))
        os.utime(log, (now, now))
        records = Reader(log).read(now)
        assert [now - record.at for record in records] == pytest.approx([30.809, 26.809, 22.809])


class TestPublishedFormats:
    def test_verl(self, log):
        line = (
            "\x1b[36m(TaskRunner pid=4711)\x1b[0m step:{} - global_seqlen/min:1234 - actor/pg_loss:np.float64(-0.01) - "
        )
        line += "critic/rewards/mean:0.5 - actor/entropy:1e-05 - response_length/clip_ratio:nan - timing_s/step:12.5\n"
        text = (
            "(TaskRunner pid=4711) step:0 - val-core/openai/gsm8k/reward/mean@1:0.1\n" + line.format(1) + line.format(2)
        )
        text += "Training Progress:   2%|▏         | 2/100 [00:25<20:25, 12.50s/it]\r"
        records = read(log, text)
        assert steps(records) == [1, 2]
        assert translate(records[0].values) | {"clipped_ratio": 0} == {
            "loss": -0.01,
            "reward": 0.5,
            "entropy": 1e-05,
            "clipped_ratio": 0,
            "step_seconds": 12.5,
        }

    def test_verl_with_its_bar_tells_the_total(self, log):
        reader = Reader(log)
        write(log, "Training Progress:   1%|▏         | 1/100 [00:12<20:25, 12.50s/it]\rstep:2 - actor/grad_norm:0.1\n")
        (record,) = reader.read(time.time())
        assert (record.step, record.total_steps) == (2, 100)

    @pytest.mark.parametrize(
        "line",
        [
            "12:03:07 SUCCESS Step 5 |   1.20s | Loss 0.1000 | Entropy 0.5000 | Mismatch KL 0.0010 | Grad. Norm 0.2000"
            " | LR 1.00e-06 | Throughput 512 tokens/s | MFU 10.5% | Peak Mem. 3.1 GiB\n",
            "12:03:07 SUCCESS Step 5 | Time: 1.20s | Loss: 0.1000 | Entropy: 0.5000 | Mismatch KL: 0.0010"
            " | Grad. Norm: 0.2000 | LR: 1.00e-06 | Throughput: 512 tokens/s | MFU: 10.5% | Peak Mem.: 3.1 GiB\n",
            '{"timestamp": "2026-11-28T12:03:07+00:00", "level": "SUCCESS", "message": "Step 5 | Time: 1.20s'
            ' | Loss: 0.1 | Entropy: 0.5 | Mismatch KL: 0.001 | Grad. Norm: 0.2 | LR: 1e-06", "module": "train"}\n',
        ],
    )
    def test_prime_rl_trainer(self, log, line):
        text = "12:03:06   DEBUG Micro Step 3/8 | Loss 0.9000 | Entropy 0.4000\n" + line
        (record,) = read(log, text)
        assert record.step == 5
        assert translate(record.values) == {
            "loss": 0.1,
            "entropy": 0.5,
            "mismatch_kl": 0.001,
            "grad_norm": 0.2,
            "learning_rate": 1e-06,
            "step_seconds": 1.2,
        }

    def test_prime_rl_orchestrator(self, log):
        line = "Step 5 | Time: 9.50s | Reward: 0.2500 | Val. Reward: 0.9000 | Seq. Length: 99.5 tokens/sample"
        (record,) = read(log, line + " | Async Level: 1\n")
        assert translate(record.values) == {"reward": 0.25, "step_seconds": 9.5}

    def test_the_time_of_a_line_without_date_is_the_last_such_time(self, log):
        now = datetime.fromisoformat("2026-11-28 00:00:30").timestamp()
        log.write_text("23:59:50 SUCCESS Step 5 | Loss 0.1\n00:00:10 SUCCESS Step 6 | Loss 0.1\n")
        os.utime(log, (now, now))
        assert [now - record.at for record in Reader(log).read(now)] == [40.0, 20.0]

    def test_a_line_just_written_whose_clock_is_hours_away_has_another_zone(self, log):
        now = time.time()
        reader = Reader(log)
        write(log, "Step 1 | Loss 0.1\n")
        reader.read(now)
        write(log, datetime.fromtimestamp(now - 7200).strftime("%Y-%m-%d %H:%M:%S") + " Step 2 | Loss 0.1\n")
        (record,) = reader.read(now + 5)
        assert abs(record.at - now) < 5

    def test_mlx_lm_lora_grpo(self, log):
        block = f"""
{"=" * 80}
Iter 10:
{"-" * 80}
Loss: 0.125
Total Rewards:  μ=0.500, σ=0.250
Group Rewards:  μ=0.450, σ=0.100
KL Divergence: 0.000000012345
{"-" * 80}
Generation Stats:
  • Avg tokens: 23.5
  • Min tokens: 3
  • Max tokens: 24 (limit: 24)
  • Hit limit: 12.5%
{"-" * 80}
Individual Reward Functions:
  • accuracy: μ=0.100, σ=0.300, cov=100.00%
{"-" * 80}
Clipping:  low=0.000, high=0.000, total=0.000
Learning Rate: 1.0000e-05
Speed: 0.500 it/s, 100.0 tok/s
Memory: 3.000GB
{"=" * 80}

"""
        bar = "Training:  10%|█         | 10/100 [00:20<03:00,  2.00s/it, loss=0.125, it/s=0.500]\r"
        text = (
            "Iter 1: Val loss 2.100, Val took 3.000s\n"
            + block
            + "\nIter 10: Saved adapter weights to a.safetensors.\n"
            + bar
        )
        (record,) = read(log, text)
        assert (record.step, record.total_steps) == (10, None)
        assert translate(record.values) == {
            "loss": 0.125,
            "reward": 0.5,
            "reward_std": 0.1,
            "kl": 1.2345e-08,
            "completion_length": 23.5,
            "clipped_ratio": 0.125,
            "learning_rate": 1e-05,
        }

    def test_mlx_lm(self, log):
        line = "Iter 10: Train loss 1.234, Learning Rate 1.000e-05, It/sec 0.500, Tokens/sec 99.500, "
        (record,) = read(log, line + "Trained Tokens 1990, Peak mem 3.100 GB\n")
        assert (record.step, translate(record.values)) == (10, {"loss": 1.234, "learning_rate": 1e-05, "tokens": 1990})

    def test_ms_swift(self, log):
        line = "{'loss': 0.00339046, 'grad_norm': 0.02557648, 'epoch': 0.11, 'global_step/max_steps': '340/9060', "
        (record,) = read(log, line + "'elapsed_time': '18m 42s', 'memory(GiB)': 5.15, 'train_speed(s/it)': 3.3}\n")
        assert (record.step, record.total_steps) == (340, 9060)
        assert translate(record.values) == {"loss": 0.00339046, "grad_norm": 0.02557648, "step_seconds": 3.3}

    def test_openrlhf(self, log):
        line = "2026-11-28 03:23:02 INFO ✨ Global step 12: {'policy_loss': -0.01, 'reward': 0.5, 'kl': 0.001}\n"
        (record,) = read(log, line)
        assert record.step == 12
        assert translate(record.values) == {"loss": -0.01, "reward": 0.5, "kl": 0.001}

    def test_rl_swarm_of_rounds(self, log):
        line = "[2026-11-28 03:23:02,821][genrl.logging_utils.global_defs][INFO] - Starting round: 7/1000000.\n"
        record, notice = read(log, line + "[…] - Already finished round: 6. Next check in 300.0s\n")
        assert (record.step, record.unit, record.values) == (7, "round", {})
        assert (notice.step, notice.phase, notice.is_notice) == (None, "waiting", True)

    def test_a_time_with_nine_digits_behind_the_second(self, log):
        now = datetime.fromisoformat("2026-11-28T12:00:01+00:00").timestamp()
        log.write_text("2026-11-28T12:00:00.123456789Z step:3 - actor/pg_loss:0.5\n")
        os.utime(log, (now, now))
        assert Reader(log).read(now)[0].at == pytest.approx(now - 0.877, abs=0.001)

    def test_the_first_report_decides_which_format_it_is(self, log):
        text = "Step 1 | Loss 0.5\n" + print_dict() + "Step 2 | Loss 0.4\n"
        assert steps(read(log, text)) == [1, 2]
        assert steps(Reader.configured({"path": log.name, "format": "transformers"}, log.parent).read(0)) == [None]

    def test_a_trainer_of_another_format_that_goes_on_in_the_log_is_found(self, log):
        records = read(log, "Step 1 | Loss 0.5\n" * 3 + print_dict(epoch=1) * 150)
        assert len(records) == 3 + 50

    def test_a_name_of_a_trainer_is_that_of_its_format(self, log):
        for name in ("trl", "ms-swift", "llama_factory", "openrlhf", "unsloth", "mlx-lm-lora", "prime-rl", "verl"):
            Reader.configured({"path": "f", "format": name}, log.parent)

    def test_formats_are_found_by_being_there(self):
        assert {"mlx", "prime_rl", "rl_swarm", "transformers", "verl"} <= set(formats.list_names())


class TestTwoTrainers:
    def test_steps_that_alternate_are_told_and_not_mixed(self, log):
        text = "".join(f"Step {step} | Loss 0.{step}\nStep {step + 100} | Loss 0.2\n" for step in range(1, 10))
        with pytest.raises(ReadError, match="two trainers write into this file"):
            read(log, text)

    def test_a_distance_of_one_step_is_enough(self, log):
        text = "".join(f"Step {step} | Loss 0.1\nStep {step - 1} | Loss 0.2\n" for step in range(1, 10))
        with pytest.raises(ReadError, match="two trainers"):
            read(log, text)

    def test_a_trainer_that_reports_a_step_twice_is_one(self, log):
        text = "".join(f"Step {step} | Loss 0.1\nStep {step} | Loss 0.2\n" for step in range(1, 10))
        assert len(read(log, text)) == 18

    def test_epochs_tell_where_there_are_no_steps(self, log):
        text = "".join(print_dict(epoch=epoch / 10) + print_dict(epoch=3 + epoch / 10) for epoch in range(1, 10))
        with pytest.raises(ReadError, match="two trainers"):
            read(log, text)

    def test_once_one_of_them_ended_the_other_is_read(self, log):
        reader = Reader(log)
        write(log, "".join(f"Step {step} | Loss 0.1\nStep {step + 100} | Loss 0.2\n" for step in range(1, 10)))
        with pytest.raises(ReadError):
            reader.read(time.time())
        write(log, "".join(f"Step {step + 100} | Loss 0.2\n" for step in range(10, 30)))
        assert reader.read(time.time())[-1].step == 129

    def test_a_trainer_that_crashes_again_and_again_is_one(self, log):
        text = "".join(f"Step {step} | Loss 0.{step}{run}\n" for run in range(9) for step in range(50, 58))
        assert len(read(log, text)) == 72

    def test_the_parts_of_one_trainer_may_be_steps_apart(self, log):
        text = "".join(f"Step {step + 3} | Reward: 0.5\nStep {step} | Loss: 0.1\n" for step in range(1, 20))
        assert len(read(log, text)) == 38


def test_a_new_run_is_followed_where_the_path_is_a_pattern(tmp_path):
    folder = tmp_path / "of [me]"
    reader = Reader.configured({"path": "v*/run.log", "format": "ms-swift"}, folder)
    for number in (1, 2):
        (folder / f"v{number}").mkdir(parents=True)
        (folder / f"v{number}" / "run.log").write_text(print_dict(loss=number))
        assert [record.values["loss"] for record in reader.read(time.time() + 20 * number)] == [number]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "path: is missing; name it, such as train.log"),
        ({"path": 3}, "path: '3' is not a text"),
        ({"path": "a/**/b"}, "path: 'a/**/b' may search a whole disk"),
        ({"path": "a", "pth": "b"}, "pth: unknown option; the options are path, format, pattern, zone"),
        ({"path": "a", "format": "nano"}, "format: 'nano' is none of mlx, prime_rl"),
        ({"path": "a", "format": "verl", "pattern": "x"}, "format: 'verl' cannot be named beside a pattern"),
        ({"path": "a", "zone": "Mars/Base"}, "zone: 'Mars/Base' is not a time zone"),
        ({"path": "a", "pattern": r"(?P<score>\d)"}, "pattern: 'score' is no metric"),
    ],
)
def test_wrong_options_are_told_in_one_line(tmp_path, options, message):
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}.*\Z"):
        Reader.configured(options, tmp_path)
