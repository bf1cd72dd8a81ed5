"""Stage 2: each peer reads the judgements, says which answer the swarm agrees on, and gives the final one."""

from collections import Counter
from collections.abc import Iterable, Mapping

from trainer.stages.published import Published
from trainer.stages.row import (
    GIVEN,
    FindEntry,
    Limits,
    Row,
    choose_peers,
    find_truth,
    make_rows,
    quote,
    read_students,
)
from trainer.stages.stage import Outputs, Stage
from trainer.stages.tags import NONE, between, marked_answer, read_choice, tagged

FEEDBACK = "After comparing these answers, the following feedback was given about which answer is best: \n"

INSTRUCTION = """\
You are a member of a study group. You see a question, the answers that members gave, and what members say about \
them. Sum up the feedback, name the answer that most of the group will agree on (or write None if all are wrong), \
repeat the question, think, and give the final answer. Write exactly in this form:
<summarize_feedback>
what the group says
</summarize_feedback>
<majority>
Student #N
</majority>
<question>
the question
</question>
<think>
your reasoning
</think>
<answer>
the final answer
</answer>"""


def build(outputs: Outputs, own: str, find_entry: FindEntry, limits: Limits) -> list[Row]:
    """One row for each question that others judged; without any, for each that we judged ourselves."""
    return make_rows(outputs, lambda question, found: _row(question, found, own, find_entry, limits))


def publish(completion: str) -> str:
    """The completion with this stage's tags, which other peers and their pages look for."""
    if between(completion, "majority") is not None and between(completion, "answer") is not None:
        return completion
    choice = read_choice(between(completion, "majority") or completion) or NONE
    answer = marked_answer(completion)
    return "\n".join(
        [tagged("summarize_feedback", completion.strip()), tagged("majority", choice), tagged("answer", answer)]
    )


def find_consensus(judgements: Iterable[str], students: Iterable[str]) -> str | None:
    """The choice of most judgements among these answers; of several, the smallest; None if nobody chose."""
    known = {*students, NONE}
    choices = Counter(choice for text in judgements if (choice := read_choice(between(text, "identify"))) in known)
    return min(choices, key=lambda choice: (-choices[choice], str(choice))) if choices else None


def _row(question: str, found: Mapping[str, Published], own: str, find_entry: FindEntry, limits: Limits) -> Row | None:
    entry = find_truth(question, found, find_entry, limits)
    if entry is None:
        return None
    peers = choose_peers(found, own, limits.quoted_peers)
    judged = _judged_prompt(question, found, limits)
    students = read_students(judged)
    room = max(24, limits.prompt_chars // max(1, len(peers)) - 48)
    said = [quote(found[peer_id].completion, room) for peer_id in peers]
    parts = [f"<criticism>Criticism #{n}</criticism> was \n{text}\n\n\n" for n, text in enumerate(said)]
    return Row(
        question=question,
        answer=str(entry["answer"]),
        entry=entry,
        prompt=f"{judged}  \n{FEEDBACK}{''.join(parts)}",
        stage=STAGE.number,
        students=students,
        quotes=(*students.values(), *said),
        consensus=find_consensus((output.completion for output in found.values()), students),
        others=sum(peer_id != own for peer_id in peers),
    )


def _judged_prompt(question: str, found: Mapping[str, Published], limits: Limits) -> str:
    """The text that most of the judgements are about: their ids of answers count from it."""
    most = limits.question_chars + limits.prompt_chars
    prompts = sorted(
        output.prompt
        for output in found.values()
        if len(output.prompt) <= most and output.prompt.startswith(GIVEN + question)
    )
    return max(prompts, key=prompts.count) if prompts else f"{GIVEN}{question}  \n\n"


STAGE = Stage(
    number=2,
    tags=("summarize_feedback", "majority", "question", "think", "answer"),
    choice_tag="majority",
    instruction=INSTRUCTION,
    publish=publish,
    build=build,
)
