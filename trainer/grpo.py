"""TRL's GRPOTrainer extended: reports what a step earned and its phases, and seals checkpoints."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
import transformers
from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from transformers.trainer_callback import PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from trainer import trackers
from trainer.config import TrainerConfig
from trainer.data import load_model, load_task
from trainer.lora import adapters, four_bits
from trainer.saving import Checkpoints, Nowhere, Reports
from trainer.scoring import reward_functions, stage_reward, text_of, totals
from trainer.stages.published import MAX_PROMPT, MAX_TEXT
from trainer.stages.row import Limits, Row
from trainer.stages.rows import Nobody, Others, StageRows
from trainer.suited import TINY, suited_options, suited_prompt

# transformers keeps every logged step in memory and in each checkpoint; a month of short steps would fill both.
KEPT_LOGS = 100
ROWS_PER_EPOCH = 100_000
# In the run folder: the first weights of a model that was made here.
REFERENCE = "reference"


class Phases(Protocol):
    """The part of the telemetry that records the phases of a step."""

    def phase(self, name: str) -> contextlib.AbstractContextManager[None]: ...


class Shield(Protocol):
    """Defers a stop until an atomic section is done."""

    def shield(self) -> contextlib.AbstractContextManager[None]: ...


@dataclass
class Earnings:
    """What the rollouts since the last step earned, and the best of their completions with its row.

    `others` is how many peers the row quotes.
    """

    reward: float = 0.0
    question: str = ""
    answer: str = ""
    completion: str = ""
    prompt: str = ""
    others: int = 0


class PeerTrainer(GRPOTrainer):
    """A GRPOTrainer that takes its rows from the stage that it is in, and reports its earnings and phases."""

    def __init__(
        self, *, phases: Phases, shield: Shield, checkpoints: Checkpoints, rows: StageRows, **options: Any
    ) -> None:
        self._phases, self._shield, self.checkpoints, self.rows = phases, shield, checkpoints, rows
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

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Any:
        if self.model.training:
            # Not from the dataloader, which fetches a batch ahead: a stage may have ended meanwhile.
            group = self.num_generations
            inputs = [row for row in self.rows.take(len(inputs) // group) for _ in range(group)]
        return super()._generate_and_score_completions(inputs)

    def _generate(self, prompts: list[Any]) -> Any:
        with self._phases.phase("generating"):
            return super()._generate(prompts)

    def _calculate_rewards(
        self, inputs: Sequence[Mapping[str, Any]], prompts: Any, completions: Sequence[Any], *rest: Any
    ) -> Any:
        rewards = super()._calculate_rewards(inputs, prompts, completions, *rest)
        earned = totals(rewards.tolist(), self.reward_weights.tolist())
        best = max(range(len(completions)), key=earned.__getitem__)
        row: Row = inputs[best]["row"]
        self._earnings = Earnings(
            self._earnings.reward + sum(earned),
            row.question[:MAX_TEXT],
            row.answer[:MAX_TEXT],
            text_of(completions[best])[:MAX_TEXT],
            row.prompt[:MAX_PROMPT],
            row.others,
        )
        return rewards

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if not self.checkpoints.may_save():
            return
        with self._phases.phase("saving"), self._shield.shield(), self.checkpoints.writing(self.state.global_step):
            super()._save_checkpoint(model, trial)


def build_trainer(
    config: TrainerConfig,
    *,
    checkpoints: Path,
    phases: Phases,
    shield: Shield,
    peer_id: str = "",
    others: Others | None = None,
    reports: Reports | None = None,
) -> PeerTrainer:
    """Model, data, rewards and trainer of a configuration. Raises ValueError with one line for the user."""
    device = choose_device(config.device)
    quantization = four_bits(config.dtype, device) if config.load_in_4bit else None
    trackers.prepare(config.grpo.get("report_to"), config.run_dir)
    transformers.set_seed(config.seed)
    task = load_task(config)
    rewards = reward_functions(config.rewards, task.judge)
    has_stages = config.stages_per_round > 1
    if has_stages:
        rewards.append(stage_reward(config.stage_rewards.model_dump(), task.judge))
    model, tokenizer = load_model(config)
    try:
        arguments = GRPOConfig(**grpo_options(config, device, checkpoints, quantization))
    except (TypeError, ValueError) as error:
        raise ValueError(f"grpo: {' '.join(str(error).split())}") from error
    if arguments.beta and not isinstance(model, str) and config.lora is None:
        # TRL loads the reference model from where the model came from.
        model.save_pretrained(config.run_dir / REFERENCE)
        model.config._name_or_path = str(config.run_dir / REFERENCE)
    # Removing older ones is left to us, who know which are complete.
    keep, arguments.save_total_limit = arguments.save_total_limit, None
    is_chat = _is_conversational(tokenizer)
    rows = StageRows(
        task,
        peer_id=peer_id,
        others=others or Nobody(),
        limits=Limits(*suited_prompt(config.model)),
        questions_per_step=_questions_per_step(arguments),
        steps_per_stage=config.steps_per_stage,
        is_chat=is_chat,
        is_instructed=has_stages,
        is_compact=config.model == TINY,
    )
    trainer = PeerTrainer(
        rows=rows,
        phases=phases,
        shield=shield,
        checkpoints=Checkpoints(
            checkpoints,
            model=config.trained_as,
            keep=keep,
            least_free_bytes=int(config.least_free_gib * 2**30),
            telemetry=reports or Nowhere(),
        ),
        model=model,
        peft_config=adapters(config.lora),
        reward_funcs=rewards,
        args=arguments,
        train_dataset=_placeholders(is_chat),
        processing_class=tokenizer,
    )
    # The driver prints the step lines.
    trainer.remove_callback(PrinterCallback)
    return trainer


def grpo_options(config: TrainerConfig, device: str, checkpoints: Path, quantization: Any = None) -> dict[str, Any]:
    """The arguments of GRPOConfig: defaults, then the user's options, then what the trainer sets; the last one wins."""
    suited: dict[str, Any] = {
        **suited_options(config.model, config.grpo),
        **trackers.options(config.grpo.get("report_to"), config.name),
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
        # The rows come from the stage, not from the position in a dataset.
        "ignore_data_skip": True,
    }
    if config.stages_per_round > 1:
        # The stage's own reward comes last, with its weights inside.
        decided["reward_weights"] = [*(config.grpo.get("reward_weights") or [1.0] * len(config.rewards)), 1.0]
    if config.model != TINY:
        # TRL loads a named model itself, and its reference model in the same way.
        given = dict(config.grpo.get("model_init_kwargs") or {})
        decided["model_init_kwargs"] = {
            # transformers lets the new name win over the old one.
            "dtype": given.pop("torch_dtype", config.dtype),
            **({"quantization_config": quantization} if quantization else {}),
            **given,
        }
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


def _placeholders(is_chat: bool) -> Dataset:
    """As many empty rows as an epoch has; the trainer fills them."""
    prompt = [{"role": "user", "content": ""}] if is_chat else ""
    # A worker that is spawned gets a pickled copy.
    return Dataset.from_dict({"index": range(ROWS_PER_EPOCH)}).with_transform(partial(_as_prompts, prompt))


def _as_prompts(prompt: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt": [prompt for _ in batch["index"]]}


def _questions_per_step(arguments: GRPOConfig) -> int:
    completions = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    return max(1, completions // arguments.num_generations)


def _is_conversational(tokenizer: PreTrainedTokenizerBase) -> bool:
    return bool(getattr(tokenizer, "chat_template", None))
