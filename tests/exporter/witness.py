"""Trainers that tell what they really do, on a clock of their own, and hold the telemetry to it.

A `Witness` is an independent observer: it overrides the Trainer's own methods (a training step, an evaluation, a
checkpoint), notes what the telemetry says meanwhile, lets time pass there, and asks the rule PeerStalled.
"""

from dataclasses import dataclass, field

import torch
from prometheus_client import CollectorRegistry, generate_latest
from transformers import TrainerCallback

from alerts.rules import View
from alerts.rules.peer_stalled import Settings, judge
from alerts.scraping.page import parse
from exporter.pace import Pace

FLOOR_SECONDS = 30.0
STEP_SECONDS = 1.0
# Ten times what the rule ever allows a step here: whatever is not training takes that long.
REST_SECONDS = 10 * FLOOR_SECONDS


def make_pace():
    return Pace(floor_seconds=FLOOR_SECONDS, ceiling_seconds=FLOOR_SECONDS, waiting_seconds=1.0, saving_seconds=1.0)


@dataclass
class Seen:
    """What went on, what the telemetry said meanwhile, whether the rule would have fired at its end, the usual step."""

    what: str
    expected: str
    phase: str
    verdict: str
    usual: float | None


@dataclass
class Log:
    """A clock, and what was seen by it."""

    now: float = 1_700_000_000.0
    seen: list[Seen] = field(default_factory=list)
    telemetry: object = None

    def clock(self):
        return self.now

    def page(self):
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self.telemetry)
        return parse(generate_latest(registry).decode() + "trainer_up 1\n")

    def verdict(self):
        return judge(View("a", self.now, self.page()), Settings()).condition

    def pass_time(self, what, seconds, *, expected):
        # As the writer's thread does now and then.
        self.telemetry.look()
        page = self.page()
        self.now += seconds
        usual = page.value("trainer_usual_silence_seconds")
        self.seen.append(Seen(what, expected, page.state(), self.verdict(), usual))

    def wrong(self):
        return [one for one in self.seen if one.phase != one.expected or one.verdict != "inactive"]

    def kinds(self):
        return {one.what for one in self.seen}


def witness_of(base, log):
    """The Trainer class `base`, observed."""

    class Witness(base):
        def rests(self, what):
            log.pass_time(what, REST_SECONDS, expected="waiting" if self.is_in_train else "stopped")

        def training_step(self, *args, **kwargs):
            log.pass_time("step", STEP_SECONDS, expected="training")
            return super().training_step(*args, **kwargs)

        def get_batch_samples(self, *args, **kwargs):
            self.rests("data")
            return super().get_batch_samples(*args, **kwargs)

        def evaluation_loop(self, *args, **kwargs):
            self.rests("evaluation begins")
            self.predicted = 0
            return super().evaluation_loop(*args, **kwargs)

        def prediction_step(self, *args, **kwargs):
            self.predicted += 1
            if self.predicted > 1:
                log.pass_time("evaluation", REST_SECONDS, expected="waiting")
            return super().prediction_step(*args, **kwargs)

        def _save_checkpoint(self, *args, **kwargs):
            self.rests("checkpoint")
            super()._save_checkpoint(*args, **kwargs)

        def save_model(self, *args, **kwargs):
            self.rests("save_model")
            super().save_model(*args, **kwargs)

        def _load_best_model(self, *args, **kwargs):
            self.rests("best model")
            super()._load_best_model(*args, **kwargs)

        def log(self, *args, **kwargs):
            phases = "waiting" if self.is_in_train or getattr(self, "predicted", 0) else "stopped"
            log.pass_time("log", REST_SECONDS, expected=phases)
            super().log(*args, **kwargs)

    return Witness


class Dawdler(TrainerCallback):
    """A callback that takes long wherever it is called while the trainer does not step."""

    def __init__(self, log, *, is_first):
        self.log, self.is_first = log, is_first
        self.is_over = False

    def _dawdle(self, what, expected="waiting"):
        self.log.pass_time(f"{'first' if self.is_first else 'last'} {what}", REST_SECONDS, expected=expected)

    def on_train_begin(self, *args, **kwargs):
        self._dawdle("on_train_begin", "starting" if self.is_first else "waiting")

    def on_epoch_begin(self, *args, **kwargs):
        self._dawdle("on_epoch_begin")

    def on_step_begin(self, *args, **kwargs):
        if self.is_first:
            self._dawdle("on_step_begin")

    def on_step_end(self, *args, **kwargs):
        self._dawdle("on_step_end")

    def on_log(self, *args, **kwargs):
        self._dawdle("on_log")

    def on_evaluate(self, *args, **kwargs):
        self._dawdle("on_evaluate", "stopped" if self.is_over and not self.is_first else "waiting")

    def on_save(self, *args, **kwargs):
        self._dawdle("on_save")

    def on_epoch_end(self, *args, **kwargs):
        self._dawdle("on_epoch_end")

    def on_train_end(self, *args, **kwargs):
        self.is_over = True
        self._dawdle("on_train_end", "waiting" if self.is_first else "stopped")


class Line(torch.nn.Module):
    """Two numbers to learn."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, labels=None):
        predicted = self.layer(x)
        return {"loss": ((predicted - labels) ** 2).mean(), "logits": predicted}


def numbers(count):
    return [{"x": torch.ones(1) * (at % 7), "labels": torch.ones(1) * (at % 7) * 2} for at in range(count)]
