"""What the tests of the callback share: how they step it, and read what it has written."""

import time
from types import SimpleNamespace

from exporter.textfile_reader import parse, value_of
from tests.lazy import lazily

telemetry_module = lazily("exporter.telemetry")
torch = lazily("torch")

GO_ON = SimpleNamespace(should_evaluate=False, should_save=False)
FIRST, OTHER = SimpleNamespace(is_world_process_zero=True), SimpleNamespace(is_world_process_zero=False)


def read(run_dir):
    return parse((run_dir / "trainer.prom").read_text())


def wait_for(run_dir, name, value):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (run_dir / "trainer.prom").exists() and value_of(read(run_dir), name) == value:
            return
        time.sleep(0.01)
    raise AssertionError(f"{name} never became {value}")


def state(samples):
    return next(r.labels["trainer_state"] for r in samples if r.name == "trainer_state" and r.value == 1.0)


def written(telemetry, tmp_path):
    telemetry.close()
    return read(tmp_path / "peer-1")


def step(telemetry, logs=None, control=GO_ON):
    telemetry.on_step_begin(None, None, control)
    telemetry.on_step_end(None, None, control)
    if logs is not None:
        telemetry.on_log(None, None, control, logs=logs)


def phase_of(telemetry):
    samples = [sample for family in telemetry.collect() for sample in family.samples]
    return state([SimpleNamespace(name=s.name, labels=s.labels, value=s.value) for s in samples])
