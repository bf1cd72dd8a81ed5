"""Stage 1: each peer reads the others' answers, says which is best, and answers again."""

from collections.abc import Mapping

from trainer.stages.published import Published
from trainer.stages.row import (
    GIVEN,
    SUGGESTED,
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
from trainer.stages.tags import NONE, between, read_choice, tagged

INSTRUCTION = """\
You are a member of a study group. You see a question and the answers that members gave. Compare them, explain which \
is best, name it (or write None if all are wrong), and give your own answer. Write exactly in this form:
<compare>
how the answers differ
</compare>
<explain>
why one is the best
</explain>
<identify>
Student #N
</identify>
<answer>
your final answer
</answer>"""


def build(outputs: Outputs, own: str, find_entry: FindEntry, limits: Limits) -> list[Row]:
    """One row for each question that others answered; without any, for each that we answered ourselves."""
    return make_rows(outputs, lambda question, found: _row(question, found, own, find_entry, limits))


def publish(completion: str) -> str:
    """The completion with this stage's tags, which other peers and their pages look for."""
    if between(completion, "explain") is not None and between(completion, "identify") is not None:
        return completion
    choice = read_choice(between(completion, "identify") or completion) or NONE
    return "\n".join([tagged("explain", completion.strip()), tagged("identify", choice)])


def write_prompt(question: str, answers: list[str], limits: Limits) -> str:
    """The user's text in the swarm's own form; long answers are cut, so that all fit."""
    head = f"{GIVEN}{question}  \n\n{SUGGESTED}"
    room = max(24, (limits.prompt_chars - len(head)) // max(1, len(answers)) - 40)
    parts = [f"<student>Student #{n}</student> said \n{quote(text, room)}\n\n\n" for n, text in enumerate(answers)]
    return head + "".join(parts)


def _row(question: str, found: Mapping[str, Published], own: str, find_entry: FindEntry, limits: Limits) -> Row | None:
    entry = find_truth(question, found, find_entry, limits)
    if entry is None:
        return None
    peers = choose_peers(found, own, limits.quoted_peers)
    prompt = write_prompt(question, [found[peer_id].completion for peer_id in peers], limits)
    students = read_students(prompt)
    return Row(
        question=question,
        answer=str(entry["answer"]),
        entry=entry,
        prompt=prompt,
        stage=STAGE.number,
        students=students,
        quotes=tuple(students.values()),
        others=sum(peer_id != own for peer_id in peers),
    )


STAGE = Stage(
    number=1,
    tags=("compare", "explain", "identify", "answer"),
    choice_tag="identify",
    instruction=INSTRUCTION,
    publish=publish,
    build=build,
)
