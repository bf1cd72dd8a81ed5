"""What the tests of the phases train: callbacks that ask for more, data that take long, and the trainers of TRL."""

from datasets import Dataset
from torch.utils.data import IterableDataset
from transformers import Qwen2Config, Qwen2ForCausalLM, TrainerCallback
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from tests.exporter.witness import REST_SECONDS, numbers
from trainer.data import byte_tokenizer

__all__ = ["TRAINERS", "Announces", "Asks", "Stream", "byte_tokenizer", "interrupted", "make_model"]


class Asks(TrainerCallback):
    """Asks for an evaluation and a checkpoint that no strategy announces, and saves without being asked."""

    trainer = None

    def on_step_end(self, args, state, control, **kwargs):
        control.should_evaluate = control.should_save = state.global_step == 2
        self.trainer.save_model(f"{args.output_dir}/own")

    def on_epoch_end(self, args, state, control, **kwargs):
        self.trainer.evaluate()


class Announces(TrainerCallback):
    """Says what the trainer does, as Peerwatch's own does: between its steps it does nothing else."""

    telemetry = None

    def on_train_begin(self, *args, **kwargs):
        self.telemetry.set_phase("training")


class Stream(IterableDataset):
    """Data that take long to read."""

    def __init__(self, log):
        self.log = log

    def __iter__(self):
        for row in numbers(12):
            self.log.pass_time("read", REST_SECONDS, expected="waiting")
            yield row


def interrupted(*args, **kwargs):
    """In place of a part of the training."""
    raise KeyboardInterrupt


def make_model(tokenizer):
    """A Qwen2 of one layer."""
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
