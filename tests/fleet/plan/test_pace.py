"""When another peer is worth it, and how the pace is shown."""

from pathlib import Path

import pytest

from fleet.plan.pace import bars, best_count, check_plot, plot


@pytest.mark.parametrize(
    ("pace", "best"),
    [
        # steps/s of one, two and three tiny peers on two cores, as measured
        ({1: 15.0, 2: 29.5, 3: 29.0}, 2),
        ({1: 15.0, 2: 29.5}, None),
        ({1: 15.0, 2: 4.0}, 1),
        ({1: 10.0, 2: 10.4}, 1),
        ({1: 10.0, 2: 10.6}, None),
        ({}, None),
    ],
)
def test_another_peer_is_worth_it_from_five_percent_on(pace: dict[int, float], best: int | None) -> None:
    assert best_count(pace) == best


def test_bars_are_as_long_as_the_pace() -> None:
    one, two = bars({1: 5.0, 2: 10.0}, cores=2)

    assert one.count("█") * 2 == two.count("█")
    assert "1 ×  2 threads" in one
    assert "2 ×  1 thread " in two


def test_a_picture_is_written(tmp_path: Path) -> None:
    plot({1: 5.0, 2: 9.0}, tmp_path / "pace.png", title="tiny")

    assert (tmp_path / "pace.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_the_same_figures_is_the_same_file_and_names_them(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        plot({1: 5.0, 2: 9.0}, tmp_path / name, title="tiny", use={1: 0.3, 2: 0.62})

    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    for shown in ("62 %", "processors in use, %", "steps/s, all together"):
        assert f"<!-- {shown} -->" in text


@pytest.mark.parametrize("name", ["pace", "pace.doc", "none/pace.png"])
def test_a_picture_that_could_not_be_written_is_refused_before_the_measurement(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="--plot"):
        check_plot(tmp_path / name)
