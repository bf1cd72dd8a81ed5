"""A GRPO run of TRL that takes a moment for a step: what each test trains that needs a real one.

It builds the same with TRL 0.19 and transformers 4.57 as with the present ones. Importing it imports TRL, which takes
some seconds.
"""

from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer

from trainer.data import byte_tokenizer


def count_letters(completions, **_):
    """A reward that random bytes earn unevenly."""
    return [len(set(text)) / 6 for text in completions]


def build_model(tokenizer, **sizes):
    """A Qwen2 of one layer; `sizes` are those of its configuration."""
    usual = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokens = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    sizes = usual | {"num_key_value_heads": 1} | sizes
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **sizes, **tokens))


def build(*, reward=count_letters, trainer_class=GRPOTrainer, model=None, prompts="abcdefgh", callbacks=(), **settings):
    """A trainer of `model`, or of a new one; `settings` are those of GRPOConfig. It evaluates on what it trains on."""
    tokenizer = byte_tokenizer()
    usual = {"output_dir": "out", "logging_steps": 1, "save_strategy": "no", "report_to": [], "use_cpu": True}
    usual |= {"bf16": False, "gradient_checkpointing": False, "dataloader_pin_memory": False}
    usual |= {"per_device_train_batch_size": 4, "per_device_eval_batch_size": 4}
    usual |= {"num_generations": 4, "max_completion_length": 6}
    rows = Dataset.from_list([{"prompt": text} for text in prompts])
    return trainer_class(
        model if model is not None else build_model(tokenizer),
        reward_funcs=reward,
        args=GRPOConfig(**(usual | settings)),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )
