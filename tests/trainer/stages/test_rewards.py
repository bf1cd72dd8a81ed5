"""What the stages themselves reward."""

import pytest

from trainer.config import StageRewards
from trainer.scoring import stage_reward
from trainer.stages.order import STAGES, source_of, stage_at
from trainer.stages.rewards import discover
from trainer.stages.row import Row

STUDENTS = {"Student #0": "<answer>\n5\n</answer>", "Student #1": "<answer>\n6\n</answer>"}
ANSWER = Row("3 + 3?", "6", {"answer": "6"}, "3 + 3?", 0)
JUDGE = Row("3 + 3?", "6", {"answer": "6"}, "p", 1, STUDENTS)
FINAL = Row("3 + 3?", "6", {"answer": "6"}, "p", 2, STUDENTS, "Student #0")
NONE_RIGHT = Row("3 + 3?", "6", {"answer": "6"}, "p", 1, {"Student #0": "5"})


def form(**tags: str) -> str:
    return "\n".join(f"<{tag}>\n{text}\n</{tag}>" for tag, text in tags.items())


JUDGED = {"compare": "c", "explain": "e", "identify": "Student #1", "answer": "6"}
DECIDED = {"summarize_feedback": "s", "majority": "Student #0", "question": "3  + 3?", "think": "t", "answer": "6"}


@pytest.mark.parametrize(
    ("reward", "row", "completion", "score"),
    [
        ("format", ANSWER, form(think="so", answer="6"), 1.0),
        ("format", ANSWER, form(answer="6", think="so"), 0.5),
        ("format", ANSWER, form(answer="6") * 2, 0.0),
        ("format", ANSWER, "6", 0.0),
        ("format", JUDGE, form(**JUDGED), 1.0),
        ("format", FINAL, form(**DECIDED), 1.0),
        ("valid_choice", ANSWER, form(identify="Student #1"), None),
        ("valid_choice", JUDGE, form(**JUDGED), 1.0),
        ("valid_choice", JUDGE, form(identify="student 0"), 1.0),
        ("valid_choice", JUDGE, form(identify="None"), 1.0),
        ("valid_choice", JUDGE, form(identify="Student #2"), 0.0),
        ("valid_choice", JUDGE, "Student #1", 0.0),
        ("correct_choice", JUDGE, form(identify="Student #1"), 1.0),
        ("correct_choice", JUDGE, form(identify="Student #0"), 0.0),
        ("correct_choice", JUDGE, form(identify="None"), 0.0),
        ("correct_choice", NONE_RIGHT, form(identify="None"), 1.0),
        ("correct_choice", FINAL, form(majority="Student #1"), 1.0),
        ("consensus", JUDGE, form(identify="Student #0"), None),
        ("consensus", FINAL, form(majority="Student #0"), 1.0),
        ("consensus", FINAL, form(majority="Student #1"), 0.0),
        ("recreated_question", JUDGE, form(**JUDGED), None),
        ("recreated_question", FINAL, form(**DECIDED), 1.0),
        ("recreated_question", FINAL, form(question="What is 3 + 3? please"), 0.5),
        ("recreated_question", FINAL, form(question="another"), 0.0),
    ],
)
def test_a_stages_reward(reward: str, row: Row, completion: str, score: float | None) -> None:
    def judge(answer: str) -> float:
        return float(answer == "6")

    assert discover()[reward].score(completion, row, stage_at(row.stage), judge) == score


def test_every_reward_has_a_weight() -> None:
    assert set(StageRewards.model_fields) == set(discover())


def test_the_weights_add_up_the_parts_that_apply_and_each_part_is_logged() -> None:
    weights = {**StageRewards().model_dump(), "valid_choice": 2.0, "consensus": 0.0}
    logged: dict[str, float] = {}
    function = stage_reward(weights, lambda entry, answer: float(answer == entry["answer"]))

    rewards = function(
        completions=[form(**JUDGED), "?"],
        row=[JUDGE, ANSWER],
        log_metric=lambda name, value: logged.update({name: value}),
    )

    assert rewards == [pytest.approx(0.2 + 2.0 + 0.5), 0.0]
    assert logged == {"stage/format": 0.5, "stage/valid_choice": 1.0, "stage/correct_choice": 1.0}


@pytest.mark.parametrize("stage", STAGES)
def test_published_completions_carry_the_tags_that_readers_look_for(stage: object) -> None:
    wanted = {0: ["answer"], 1: ["explain", "identify"], 2: ["summarize_feedback", "majority", "answer"]}
    good = {0: form(think="so", answer="6"), 1: form(**JUDGED), 2: form(**DECIDED)}
    number = STAGES.index(stage)  # type: ignore[arg-type]
    published = STAGES[number].publish("just 6, as Student #1 says")

    assert all(f"<{tag}>\n" in published and f"\n</{tag}>" in published for tag in wanted[number])
    assert STAGES[number].publish(good[number]) == good[number]


def test_each_stage_is_made_from_the_one_before() -> None:
    from trainer.protocol import RoundAndStage

    sources = [source_of(RoundAndStage(4, stage)) for stage in range(5)]

    assert sources == [None, (4, 0), (4, 1), (4, 1), (4, 1)]
