"""The callback fills trainer.prom from inside a real transformers Trainer, and costs training nothing."""

import json
import subprocess
import sys
import threading
import time
from importlib.metadata import version

import pytest

from exporter.textfile_reader import parse, value_of
from exporter.textfile_writer import read_last_step
from tests.exporter.telemetry_run import read, state, step, telemetry_module, wait_for
from tests.programs import small_disk

TRAIN = """
import gc, sys
gc.disable()
import torch, transformers
from exporter.telemetry import PeerTelemetry

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
    def forward(self, x, labels=None):
        predicted = self.layer(x)
        return {"loss": ((predicted - labels) ** 2).mean(), "logits": predicted}

def train(run_dir, steps, more=(), **options):
    data = [{"x": torch.ones(1), "labels": torch.ones(1)}] * 64
    arguments = transformers.TrainingArguments(
        run_dir + "-output", max_steps=steps, per_device_train_batch_size=2, logging_steps=1, report_to=[],
        disable_tqdm=True, use_cpu=True, **{"save_strategy": "no"} | options)
    telemetry = PeerTelemetry(run_dir, write_interval_seconds=0.05)
    trainer = transformers.Trainer(
        Net(), arguments, train_dataset=data, eval_dataset=data[:2], callbacks=[telemetry, *more])
    trainer.train()
    print("steps", trainer.state.global_step)
    return telemetry
"""


# Importing transformers takes seconds, so it is done once: each scenario is a child that ends as a program does.
FORKS = """
import gc, json, os
exec(sys.argv[2])
gc.freeze()
for name, (folder, code) in json.load(sys.stdin).items():
    if os.fork() == 0:
        gc.enable()
        for number, ending in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{sys.argv[1]}/{name}.{ending}", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        sys.argv[1:] = [folder]
        exec(code, globals())
        break
    os.wait()
"""

REAL = 'train(sys.argv[1], 12, save_strategy="steps", save_steps=4, eval_strategy="steps", eval_steps=6)'
FORGETFUL = "PeerTelemetry(sys.argv[1])"
# A program that an exception ends, while a thread of its own keeps it from ending.
HANGING = """
import threading, time, exporter.textfile_writer
exporter.textfile_writer.LOOK_INTERVAL_SECONDS = 0.02
main = threading.main_thread()
def keep():
    while main.is_alive():  # It is, until the program is about to end.
        time.sleep(0.02)
    time.sleep(0.5)
    print(open(sys.argv[1] + "/trainer.prom").read(), flush=True)
class Raises(transformers.TrainerCallback):
    def on_substep_end(self, *_, **__):
        threading.Thread(target=keep).start()
        raise ArithmeticError("the training's")
train(sys.argv[1], 3, gradient_accumulation_steps=2, more=[Raises()])
"""
VANISHED = """
import shutil, threading
def vanish():
    # What is being written there meanwhile may keep it.
    while os.path.exists(sys.argv[1]):
        shutil.rmtree(sys.argv[1], ignore_errors=True)
class Slow(transformers.TrainerCallback):
    def on_step_end(self, *_, **__):
        import time; time.sleep(0.02)
data = [{"x": torch.ones(1), "labels": torch.ones(1)}] * 8
telemetry = PeerTelemetry(sys.argv[1], write_interval_seconds=0.01)
threading.Timer(0.3, vanish).start()
trainer = transformers.Trainer(
    Net(), transformers.TrainingArguments(sys.argv[1] + "-output", max_steps=60, report_to=[],
    disable_tqdm=True, use_cpu=True, save_strategy="no"), train_dataset=data, callbacks=[telemetry, Slow()])
trainer.train()
print("steps", trainer.state.global_step)
"""
FULL = """
with open(sys.argv[1] + "/ballast", "wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError as error:
        print(error)
os.makedirs(sys.argv[1] + "/peer", exist_ok=True)
telemetry = PeerTelemetry(sys.argv[1] + "/peer", write_interval_seconds=0.01)
for _ in range(100):
    telemetry.on_step_begin(None, None, None)
    __import__("time").sleep(0.002)
    telemetry.set_round(1, 1)
telemetry.close()
print(sorted(os.listdir(sys.argv[1] + "/peer")), "trained on")
"""
# Signals that arrive wherever the training is within the telemetry.
SIGNALLED = """
import signal, threading, time
threading.Thread(target=lambda: (time.sleep(60), os._exit(1)), daemon=True).start()
telemetry = PeerTelemetry(sys.argv[1], write_interval_seconds=0.01)
taken = []
def handle(*_):
    taken.append(1)
    telemetry.set_phase("saving")
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
signal.signal(signal.SIGALRM, handle)
handle()
while len(taken) < 400:
    telemetry.set_phase("training")
signal.setitimer(signal.ITIMER_REAL, 0)
telemetry.close()
print("went on")
"""
DISK = "size=64k"
READ_ONLY = """
__import__("subprocess").run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
telemetry = PeerTelemetry(sys.argv[1] + "/other peer", write_interval_seconds=0.01)
for _ in range(100):
    telemetry.on_step_begin(None, None, None)
    __import__("time").sleep(0.002)
telemetry.close()
print("trained on")
"""


@pytest.fixture(scope="module")
def trained_in(tmp_path_factory):
    """Where all scenarios have run: what each printed is there, in NAME.out and NAME.err.

    Those that need a disk of their own are left out where there is none.
    """
    folder = tmp_path_factory.mktemp("scenarios")
    codes = {"my peer": REAL, "vanished": VANISHED, "forgetful": FORGETFUL, "hanging": HANGING, "signalled": SIGNALLED}
    scenarios = {name: (str(folder / name), code) for name, code in codes.items()}
    disk = folder / "disk"
    disk.mkdir()
    try:
        wrapper = small_disk(DISK, disk)
    except pytest.skip.Exception:
        wrapper = ()
    else:
        scenarios |= {"full": (str(disk), FULL), "read-only": (str(disk), READ_ONLY)}
    first = "transformers.Trainer, transformers.TrainingArguments"
    command = [*wrapper, sys.executable, "-W", "ignore", "-c", TRAIN + FORKS, folder, first]
    subprocess.run(command, input=json.dumps(scenarios), text=True, timeout=360, check=True)
    return folder


@pytest.fixture(scope="module")
def disk_trouble(trained_in):
    """Where a disk was full and then read-only."""
    small_disk(DISK, trained_in / "disk")
    return trained_in


def printed(folder, name):
    return tuple((folder / f"{name}.{ending}").read_text() for ending in ("out", "err"))


def test_a_real_trainer_reports_its_progress(trained_in):
    out, err = printed(trained_in, "my peer")
    assert "steps 12" in out, err
    samples = read(trained_in / "my peer")
    assert value_of(samples, "trainer_steps_total") == 12
    assert value_of(samples, "trainer_step_duration_seconds_count") == 12
    assert value_of(samples, "trainer_nonfinite_steps_total") == 0
    assert 0 < value_of(samples, "trainer_loss") < 10
    written_at = (trained_in / "my peer" / "trainer.prom").stat().st_mtime
    assert abs(value_of(samples, "trainer_last_step_timestamp_seconds") - written_at) < 60
    assert state(samples) == "stopped"
    info = next(sample.labels for sample in samples if sample.name == "trainer_info")
    assert (info["nickname"], info["device"]) == ("my peer", "cpu")
    settings = next(sample.labels for sample in samples if sample.name == "trainer_settings_info")
    assert settings["transformers"] == version("transformers")
    assert (settings["dtype"], settings["lora"], settings["num_generations"]) == ("", "no", "")
    assert float(settings["learning_rate"]) > 0
    assert value_of(samples, "swarm_round") is None
    assert json.loads((trained_in / "my peer" / "process.json").read_text())["pid"] > 0


def test_a_vanished_folder_costs_the_metrics_and_one_line(trained_in):
    out, err = printed(trained_in, "vanished")
    assert "steps 60" in out, err
    assert err.count("cannot write metrics to") == 1
    assert not (trained_in / "vanished").exists()


def test_a_full_disk_costs_the_metrics_and_one_line(disk_trouble):
    out, err = printed(disk_trouble, "full")
    assert "No space left" in out
    assert "[] trained on" in out or "['trainer.prom'] trained on" in out, out + err
    assert err.count("cannot write metrics to") == 1


def test_a_read_only_folder_costs_the_metrics_and_one_line(disk_trouble):
    out, err = printed(disk_trouble, "read-only")
    assert "trained on" in out, err
    assert err.count("cannot write metrics to") == 1
    assert "Read-only" in err


def test_the_file_is_written_automatically_and_at_most_once_per_interval(tmp_path):
    telemetry = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.2)
    wait_for(tmp_path, "trainer_steps_total", 0)
    began, steps, versions = time.monotonic(), 0, set()
    while len(versions) < 4:
        step(telemetry)
        steps += 1
        versions.add((tmp_path / "trainer.prom").stat().st_mtime_ns)
        assert time.monotonic() - began < 60
        time.sleep(0.005)
    passed = time.monotonic() - began
    wait_for(tmp_path, "trainer_steps_total", steps)
    telemetry.close()
    # The first may have been there before, and the second was written at any time: two intervals lie between the rest.
    assert passed >= 2 * 0.2


def test_a_reader_always_meets_a_whole_file(tmp_path):
    telemetry = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.0)
    wait_for(tmp_path, "trainer_steps_total", 0)
    for _ in range(300):
        step(telemetry, {"loss": 1.0})
        read(tmp_path)
    telemetry.close()


def test_the_last_step_of_the_previous_run_is_kept(tmp_path):
    telemetry = telemetry_module.PeerTelemetry(tmp_path)
    step(telemetry)
    telemetry.close()
    before = read_last_step(tmp_path)
    assert before is not None
    restarted = telemetry_module.PeerTelemetry(tmp_path, write_interval_seconds=0.01)
    wait_for(tmp_path, "trainer_steps_total", 0)
    assert read_last_step(tmp_path) == before
    step(restarted)
    restarted.close()
    after = read_last_step(tmp_path)
    assert after is not None
    assert after > before


@pytest.mark.parametrize("value", ["NaN", "-1", "9e99", "x", "0x"])
def test_an_impossible_last_step_is_not_kept(tmp_path, value):
    (tmp_path / "trainer.prom").write_text(f"trainer_last_step_timestamp_seconds {value}\n")
    assert read_last_step(tmp_path) is None


def test_closing_writes_stopped_and_is_harmless_twice(telemetry, tmp_path):
    step(telemetry)
    telemetry.close()
    telemetry.close()
    step(telemetry)
    assert state(read(tmp_path / "peer-1")) == "stopped"
    assert not [thread for thread in threading.enumerate() if thread.name == "telemetry"]


def test_a_trainer_that_forgets_to_close_is_closed_at_its_end(trained_in):
    assert state(read(trained_in / "forgetful")) == "stopped"


def test_a_signals_handler_may_report_whatever_it_interrupts(trained_in):
    assert printed(trained_in, "signalled") == ("went on\n", "")


def test_a_trainer_that_an_exception_ends_and_that_hangs_then_is_still_training(trained_in):
    out, err = printed(trained_in, "hanging")
    assert "ArithmeticError: the training's" in err
    assert state(parse(out)) == "training"
    assert state(read(trained_in / "hanging")) == "stopped"
