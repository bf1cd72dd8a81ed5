"""Stage 0: each peer answers the swarm's questions."""

from trainer.stages.stage import Stage
from trainer.stages.tags import marked_answer, tagged

INSTRUCTION = """\
You are a member of a study group. Answer the question: think first, then give your final answer, so that the others \
can follow. Write exactly in this form:
<think>
your reasoning
</think>
<answer>
your final answer
</answer>"""


def publish(completion: str) -> str:
    """The completion with this stage's tags, which other peers look for."""
    return completion if "</answer>" in completion else tagged("answer", marked_answer(completion))


STAGE = Stage(number=0, tags=("think", "answer"), choice_tag=None, instruction=INSTRUCTION, publish=publish)
