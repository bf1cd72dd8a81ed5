"""The copied defaults of TRL are those of the installed TRL."""

import pytest

from trainer.suited import GENERATIONS, TRL_DEFAULTS, suited_options


@pytest.mark.filterwarnings("ignore")
def test_the_defaults_are_those_of_trl() -> None:
    from trl import GRPOConfig

    fields = GRPOConfig.__dataclass_fields__
    assert {name: fields[name].default for name in TRL_DEFAULTS} == dict(TRL_DEFAULTS)


def test_a_batch_holds_all_completions_of_one_question() -> None:
    assert suited_options("some/model", {"num_generations": 6})["per_device_train_batch_size"] == 6
    assert suited_options("some/model", {})["num_generations"] == GENERATIONS
