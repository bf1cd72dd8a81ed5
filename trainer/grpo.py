"""TRL's GRPOTrainer extended: reports what a step earned and its phases, and seals checkpoints."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import transformers
from transformers import PreTrainedTokenizerBase
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl import GRPOConfig, GRPOTrainer

from trainer.checkpoints import seal
from trainer.config import TrainerConfig
from trainer.data import load_model, load_task
from trainer.lora import adapters
from trainer.scoring import reward_functions, text_of, totals
from trainer.suited import TINY, suited_options

# transformers keeps every logged step in memory and in each checkpoint; a month of short steps would fill both.
KEPT_LOGS = 100
# In the run folder: the first weights of a model that was made here.
REFERENCE = "reference"
MAX_TEXT = 2000


class Phases(Protocol):
    """The part of the telemetry that records the phases of a step."""

    def phase(self, name: str) -> contextlib.AbstractContextManager[None]: ...


class Shield(Protocol):
    """Defers a stop until an atomic section is done."""

    def shield(self) -> contextlib.AbstractContextManager[None]: ...


@dataclass
class Earnings:
    """What the rollouts since the last step earned, and the best of their completions."""

    reward: float = 0.0
    question: str = ""
    answer: str = ""
    completion: str = ""


class PeerTrainer(GRPOTrainer):
    """A GRPOTrainer that reports its earnings and phases."""

    def __init__(self, *, phases: Phases, shield: Shield, model_name: str, **options: Any) -> None:
        self._phases, self._shield, self._model_name = phases, shield, model_name
        self._earnings = Earnings()
        super().__init__(**options)

    def take_earnings(self) -> Earnings:
        """What was earned since the last call."""
        earnings, self._earnings = self._earnings, Earnings()
        return earnings

    def save_now(self) -> None:
        """Writes a checkpoint outside the training loop."""
        self._save_checkpoint(self.model, trial=None)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs a step, and drops old log entries."""
        super().log(logs, start_time)
        del self.state.log_history[:-KEPT_LOGS]

    def _generate(self, prompts: list[Any]) -> Any:
        with self._phases.phase("generating"):
            return super()._generate(prompts)

    def _calculate_rewards(
        self, inputs: Sequence[Mapping[str, Any]], prompts: Any, completions: Sequence[Any], *rest: Any
    ) -> Any:
        rewards = super()._calculate_rewards(inputs, prompts, completions, *rest)
        earned = totals(rewards.tolist(), self.reward_weights.tolist())
        best = max(range(len(completions)), key=earned.__getitem__)
        self._earnings = Earnings(
            self._earnings.reward + sum(earned),
            str(inputs[best].get("question", ""))[:MAX_TEXT],
            str(inputs[best].get("answer", ""))[:MAX_TEXT],
            text_of(completions[best])[:MAX_TEXT],
        )
        return rewards

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with self._phases.phase("saving"), self._shield.shield():
            super()._save_checkpoint(model, trial)
            seal(Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}", self._model_name)


def build_trainer(config: TrainerConfig, *, checkpoints: Path, phases: Phases, shield: Shield) -> PeerTrainer:
    """Model, data, rewards and trainer of a configuration. Raises ValueError with one line for the user."""
    device = choose_device(config.device)
    transformers.set_seed(config.seed)
    task = load_task(config)
    rewards = reward_functions(config.rewards, task.judge)
    model, tokenizer = load_model(config)
    try:
        arguments = GRPOConfig(**grpo_options(config, device, checkpoints))
    except (TypeError, ValueError) as error:
        raise ValueError(f"grpo: {' '.join(str(error).split())}") from error
    if arguments.beta and not isinstance(model, str) and config.lora is None:
        # TRL loads the reference model from where the model came from.
        model.save_pretrained(config.run_dir / REFERENCE)
        model.config._name_or_path = str(config.run_dir / REFERENCE)
    trainer = PeerTrainer(
        phases=phases,
        shield=shield,
        model_name=config.trained_as,
        model=model,
        peft_config=adapters(config.lora),
        reward_funcs=rewards,
        args=arguments,
        train_dataset=task.dataset(conversational=_is_conversational(tokenizer)),
        processing_class=tokenizer,
    )
    # The driver prints the step lines.
    trainer.remove_callback(PrinterCallback)
    return trainer


def grpo_options(config: TrainerConfig, device: str, checkpoints: Path) -> dict[str, Any]:
    """The arguments of GRPOConfig: defaults, then the user's options, then what the trainer sets; the last one wins."""
    suited: dict[str, Any] = {
        **suited_options(config.model, config.grpo),
        "lr_scheduler_type": "constant",
        "max_steps": 2**31 - 1,
        "report_to": "none",
        "save_total_limit": 2,
        "log_level": "error",
        "bf16": device == "cuda" and torch.cuda.is_bf16_supported() and not config.grpo.get("fp16"),
    }
    decided: dict[str, Any] = {
        "output_dir": str(checkpoints),
        "seed": config.seed,
        "use_cpu": device == "cpu",
        "disable_tqdm": True,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "save_strategy": "no",
    }
    if config.model != TINY:
        # TRL loads a named model itself, and its reference model in the same way.
        decided["model_init_kwargs"] = {"dtype": config.dtype, **(config.grpo.get("model_init_kwargs") or {})}
    return suited | config.grpo | decided


def choose_device(requested: str) -> str:
    """cpu, cuda or mps. Raises ValueError if the requested device is not available."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if requested == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[requested]:
        raise ValueError(f"device: {requested} is not available to torch; use auto, or install a torch build for it")
    return requested


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps libraries' warnings out of a peer's log; errors are still logged."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in ("datasets", "accelerate", "trl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _is_conversational(tokenizer: PreTrainedTokenizerBase) -> bool:
    return bool(getattr(tokenizer, "chat_template", None))
