"""What is taken from a sidecar's page, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.scraping.page import MAX_LABEL_LENGTH, Page, parse


def test_a_sample_is_found_by_name_and_labels() -> None:
    page = parse('trainer_memory_bytes{kind="rss"} 5\ntrainer_memory_bytes{kind="footprint"} 7\nother 1\n')
    assert page.value("trainer_memory_bytes", kind="footprint") == 7
    assert page.value("trainer_memory_bytes", kind="swap") is None
    assert page.value("other") is None


def test_the_state_is_the_one_that_is_set() -> None:
    page = 'trainer_state{trainer_state="waiting"} 0\ntrainer_state{trainer_state="training"} 1\n'
    assert parse(page).state() == "training"


def test_what_an_earlier_process_wrote_says_nothing_of_the_one_that_runs() -> None:
    page = (
        'trainer_state{trainer_state="training"} 1\n'
        "trainer_phase_start_timestamp_seconds 1000\n"
        "trainer_start_timestamp_seconds %s\n"
    )
    assert parse(page % 999.9).state() == "training"
    assert parse(page % 1000.1).state() == "starting"


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_a_value_that_is_not_finite_counts_as_not_measured(value: str) -> None:
    assert parse(f"trainer_up 1\nswarm_rank {value}\n").value("swarm_rank") is None


def test_a_label_is_shortened_and_loses_its_control_characters() -> None:
    page = parse('trainer_info{nickname="a\\nb\x1b[31m' + "x" * 1000 + '"} 1\n')
    nickname = page.labels("trainer_info")["nickname"]
    assert nickname.startswith("ab[31mxx")
    assert len(nickname) == MAX_LABEL_LENGTH


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html>",
        "node_load1 3\n",
        "trainer_up one\n",
        'trainer_up{a="b 1\n',
        "trainer_up{} {} 1\n",
        "trainer_up 1\n" * 5000,
        'trainer_up{x="' + "y" * 5000 + '"} 1\n',
    ],
)
def test_a_page_that_is_not_a_sidecars_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(page)


@given(st.text(alphabet='trainer_up{}="\\,#\n 01.eE+-NaIf\x00é', max_size=200))
def test_no_page_does_more_than_be_refused(text: str) -> None:
    try:
        parse(f"trainer_{text}")
    except ValueError:
        return


def test_pages_of_one_shape_share_their_index_however_they_were_made() -> None:
    path = frozenset({("path", "/")})
    pages = [Page({"host_up": {frozenset(): value}, "host_disk_free_bytes": {path: value}}) for value in (1.0, 2.0)]
    for made in (
        pages,
        [page.only("host_up") for page in pages],
        [page.plus("host_lead", frozenset(), 3.0) for page in pages],
    ):
        assert made[0].places is made[1].places
    assert list(pages[1].plus("host_lead", frozenset(), 3.0).samples()) == [
        ("host_up", frozenset(), 2.0),
        ("host_disk_free_bytes", path, 2.0),
        ("host_lead", frozenset(), 3.0),
    ]
