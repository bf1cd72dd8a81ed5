"""Four peers of a real pretrained model play three rounds of three stages, as those of the tiny model do.

`PEERWATCH_REAL_MODEL` names the model's folder; a peer of 135 million parameters takes some 2 GB.
"""

import os
from collections.abc import Callable

import pytest

from tests.trainer.conftest import make_peer as make_peer
from tests.trainer.peers import Peer
from tests.trainer.test_swarm_of_four import Played, play, won
from tests.trainer.test_swarm_of_four import (
    test_every_later_stages_prompt_quotes_what_another_peer_published as test_every_later_stages_prompt_quotes_another,
)
from tests.trainer.test_swarm_of_four import (
    test_the_quoted_text_is_what_was_published_in_the_stage_before as test_the_quoted_text_is_what_was_published,
)
from tests.trainer.test_swarm_of_four import (
    test_the_winners_of_a_round_are_the_same_at_all_peers as test_the_winners_are_the_same_at_all_peers,
)

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

ROUNDS = 3
GRPO = {
    "num_generations": 2,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 1,
    "max_completion_length": 24,
    "learning_rate": 1e-6,
}
SUMS = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
__all__ = [
    "test_every_later_stages_prompt_quotes_another",
    "test_the_quoted_text_is_what_was_published",
    "test_the_winners_are_the_same_at_all_peers",
]


@pytest.fixture(scope="module")
def played(make_peer: Callable[..., Peer], tmp_path_factory: pytest.TempPathFactory) -> Played:
    model = os.environ.get("PEERWATCH_REAL_MODEL")
    if not model:
        pytest.skip("PEERWATCH_REAL_MODEL names no model's folder")
    options = {
        "model": model,
        "task_options": SUMS,
        "grpo": GRPO,
        "steps_per_stage": 1,
        # A step takes as long as all cores have other things to do.
        "others_timeout_seconds": 900,
        # Nothing is resumed here, and a checkpoint is 1.6 GB: none is written that does not leave as much.
        "least_free_gib": 1e6,
    }
    folder = tmp_path_factory.mktemp("four")
    return play(make_peer, folder, options, least_rounds=ROUNDS, leader_seconds=5.0, limit_seconds=3000)


def test_rounds_of_three_stages_were_played_by_all(played: Played, record: Callable[..., None]) -> None:
    rounds = ", ".join(f"{number}: {len(won(played.peers[0])[number].split(','))}" for number in played.rounds)
    record(
        "Four peers of a real model", "rounds that all played in full, and their winners", rounds, f"{ROUNDS} rounds"
    )
    assert len(played.rounds) >= ROUNDS
