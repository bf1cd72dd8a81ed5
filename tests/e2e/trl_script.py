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

SECONDS, SERVER = float(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None


class ServedTrainer(GRPOTrainer):
    def _generate(self, *args, **kwargs):
        if SERVER is not None:
            urllib.request.urlopen(SERVER).read()
        return super()._generate(*args, **kwargs)


def reward_letters(completions, **_):
    time.sleep(SECONDS)
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
trainer = ServedTrainer(
    model,
    reward_funcs=reward_letters,
    args=GRPOConfig(
        output_dir="out",
        max_steps=100_000,
        logging_steps=1,
        save_strategy="no",
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=4,
        report_to=[],
        use_cpu=True,
        dataloader_pin_memory=False,
    ),
    train_dataset=Dataset.from_list([{"prompt": text} for text in "abcdefgh"]),
    processing_class=tokenizer,
)
trainer.train()
