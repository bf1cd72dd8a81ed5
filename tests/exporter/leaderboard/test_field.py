"""The swarm in a few numbers."""

from exporter.leaderboard.board import Board
from exporter.leaderboard.field import ACTIVE_SECONDS, METRICS, Field, spread
from exporter.leaderboard.measures import Measures, series
from exporter.leaderboard.records import Entry
from trainer.protocol import EXPIRATION_SECONDS, RoundAndStage

NOW = 1_700_000_000.0
PLACE = RoundAndStage(3, 1)


def _credit(board: Board, now: float, **rewards: float) -> None:
    board.credit(PLACE, {name: Entry(value, now + EXPIRATION_SECONDS) for name, value in rewards.items()}, now)


def _values(field: Field) -> dict[str, float]:
    return {
        ":".join([sample.name.removeprefix("leaderboard_"), *sample.labels.values()]): sample.value
        for family in field.collect()
        for sample in family.samples
    }


def test_nothing_is_served_before_the_first_poll() -> None:
    assert _values(Field()) == {}


def test_five_numbers_describe_the_distribution_of_rewards() -> None:
    assert spread([9.0, 7.0, 5.0, 3.0, 1.0]) == {
        "lowest": 1.0,
        "lower_quartile": 3.0,
        "median": 5.0,
        "upper_quartile": 7.0,
        "highest": 9.0,
    }
    assert set(spread([2.0]).values()) == {2.0}
    assert spread([]) == {}


def test_place_peers_and_rewards_are_those_of_the_board() -> None:
    board, field = Board(), Field()
    _credit(board, NOW, a=1.0, b=2.0, c=4.0)
    field.update(board, PLACE, NOW)
    values = _values(field)
    assert (values["round"], values["stage"], values["active_peers"]) == (3, 1, 3)
    assert (values["stage_reward:lowest"], values["cumulative_reward:highest"]) == (1.0, 4.0)
    field.update(board, None, NOW)
    assert "round" not in _values(field)


def test_peers_join_when_they_write_and_leave_after_an_hour_without() -> None:
    board, field = Board(), Field()
    _credit(board, NOW, a=1.0, b=1.0)
    field.update(board, PLACE, NOW)
    values = _values(field)
    assert (values["joins_total"], values["leaves_total"]) == (0, 0), "who was there at the start has not joined now"
    later = NOW + ACTIVE_SECONDS
    _credit(board, later, b=2.0, c=1.0)
    field.update(board, PLACE, later + 1)
    values = _values(field)
    assert (values["active_peers"], values["joins_total"], values["leaves_total"]) == (2, 1, 1)
    _credit(board, later + 2, a=2.0)
    field.update(board, PLACE, later + 3)
    assert _values(field)["joins_total"] == 2


def test_the_number_of_series_does_not_grow_with_the_swarm() -> None:
    board, field = Board(), Field()
    _credit(board, NOW, **{f"peer{number}": float(number) for number in range(2000)})
    field.update(board, PLACE, NOW)
    assert len(_values(field)) == 15


def test_the_service_serves_what_its_list_of_series_says() -> None:
    measures = Measures()
    board = Board()
    _credit(board, NOW, a=1.0)
    measures.field.update(board, PLACE, NOW)
    served = {sample.name: frozenset(sample.labels) for family in measures.families() for sample in family.samples}
    assert served == series()
    assert {metric.name for metric in METRICS} <= set(served)
    assert b"leaderboard_joins_total 0.0" in measures.render()
