"""A GRPO run of TRL as its owner would write it, tiny and endless: `python train.py STEP_SECONDS [SERVER_URL]`.

With a server it generates as with vLLM beside it: every generation asks the server first and waits for its answer.
"""

import sys
import time
import urllib.request

from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer

from trainer.data import byte_tokenizer


class ServedTrainer(GRPOTrainer):
    """Asks `server`, a URL, before each generation; None for none."""

    server = None

    def _generate(self, *args, **kwargs):
        if self.server is not None:
            urllib.request.urlopen(self.server).read()
        return super()._generate(*args, **kwargs)


def build(step_seconds, **settings):
    """A trainer whose reward takes so long; `settings` are those of GRPOConfig."""

    def reward_letters(completions, **_):
        time.sleep(step_seconds)
        return [len(set(text)) / 6 for text in completions]

    tokenizer = byte_tokenizer()
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
    usual = {"output_dir": "out", "max_steps": 100_000, "logging_steps": 1, "save_strategy": "no", "report_to": []}
    usual |= {"per_device_train_batch_size": 4, "num_generations": 4, "max_completion_length": 4}
    return ServedTrainer(
        model,
        reward_funcs=reward_letters,
        args=GRPOConfig(use_cpu=True, dataloader_pin_memory=False, **(usual | settings)),
        train_dataset=Dataset.from_list([{"prompt": text} for text in "abcdefgh"]),
        processing_class=tokenizer,
    )


if __name__ == "__main__":
    trainer = build(float(sys.argv[1]))
    trainer.server = sys.argv[2] if len(sys.argv) > 2 else None
    trainer.train()
