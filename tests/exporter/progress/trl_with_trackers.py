"""A real GRPO run of TRL that reports to the writers named, in the current folder."""

import torch
from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer

from trainer.data import byte_tokenizer

STEPS = 10


def reward_digits(completions: list[str], **_: object) -> list[float]:
    """A reward that random bytes earn unevenly."""
    return [sum(letter < "q" for letter in text) / (len(text) + 1) for text in completions]


def train(writers: list[str]) -> None:
    """STEPS steps, each reported; the checkpoint of the last has the trainer's own record."""
    torch.manual_seed(1)
    tokenizer = byte_tokenizer()
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
    GRPOTrainer(
        model=model,
        reward_funcs=reward_digits,
        args=GRPOConfig(
            output_dir="output",
            max_steps=STEPS,
            per_device_train_batch_size=4,
            num_generations=4,
            max_completion_length=8,
            logging_steps=1,
            save_strategy="steps",
            save_steps=STEPS,
            report_to=writers,
            run_name="digits",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
        ),
        train_dataset=Dataset.from_dict({"prompt": ["1 + 1", "2 + 2"] * 50}),
        processing_class=tokenizer,
    ).train()
