"""What the plan prints: every figure with its origin, then the answer."""

import io

from rich.console import Console

from fleet.plan.answer import answer
from fleet.plan.recipe import find_recipes
from fleet.plan.report import describe, sentences, show
from tests.fleet.plan.test_answer import on


def text_of(**options: float) -> str:
    planned = on(**options)
    console = Console(file=io.StringIO(), width=140)
    show(planned, answer(planned), find_recipes(planned), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_table_shows_each_figure_with_its_origin() -> None:
    shown = text_of(memory=32, cores=10)

    for word in (
        "assumed for macOS",
        "494.0 million × 4 bytes (float32)",
        "Metal's working set",
        "footprint, predicted",
    ):
        assert word in shown


def test_a_phase_that_is_not_at_the_peak_stands_in_brackets() -> None:
    line = next(line for line in text_of(memory=32).splitlines() if "generation cache" in line)

    assert "(0.1 GiB)" in line or "MiB)" in line
    assert "not at the peak" in line


def test_the_answer_names_what_limits_and_what_to_set() -> None:
    planned = on(memory=32, batch=4, accumulation=2)

    first = sentences(planned, answer(planned))[0]

    assert first.startswith("2 peers fit, limited by memory. Give each 5 threads and a memory limit of ")


def test_the_answer_that_no_peer_fits_has_its_figures() -> None:
    planned = on(memory=6)

    assert sentences(planned, answer(planned))[0].startswith("No peer fits: memory allows none (")


def test_json_has_the_same_figures() -> None:
    planned = on(memory=32)
    result = answer(planned)
    data = describe(planned, result, find_recipes(planned))

    assert (data["peers"], data["limited_by"]) == (result.peers, result.bound.name)
    assert data["peer"]["footprint_bytes"] == planned.footprint.bytes
    lines = data["peer"]["lines"]
    assert sum(one["bytes"] for one in lines if one["phase"] in ("always", planned.footprint.phase)) == (
        planned.footprint.bytes
    )
