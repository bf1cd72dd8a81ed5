"""A reading is shared as a file, in which another program may have written anything."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.accelerators.reading import Device, Process, Reading, complete, dump, load, no_answer

BOTH = Reading(100.0, (Device("GPU-a", "RTX"), Device("GPU-b", "RTX")))


def problems(reading: Reading) -> dict[str, str]:
    return {one.device: one.problem for one in reading.devices}


def test_a_reading_is_read_as_it_was_written() -> None:
    device = Device(
        "GPU-a", "RTX", "xid", {"power_watts": 310.5}, {"power": 1.0}, {"79": 99.0}, (Process(42, 18.0, 0.7, None),)
    )
    reading = Reading(100.0, (device,), "", {"GPU-a": "RTX"}, "boot", 101.0)
    assert load(b"\n" + dump(reading)) == reading


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("at", "devices", "unavailable", "known", "boot", "device", "name", "problem", "values", "xids", "processes")


@settings(max_examples=30, deadline=None)
@given(content=st.dictionaries(st.sampled_from(FIELDS), JSON), device=st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_whatever_the_file_holds_is_a_reading_or_a_value_error(content, device) -> None:
    for found in (content, {"at": 1.0, "devices": [device]}):
        try:
            reading = load(json.dumps(found).encode())
        except ValueError:
            continue
        assert load(dump(reading)) == reading


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[" * 100_000, b'{"at": "now"}', b'{"at": 1e999}', b"\xff"])
def test_what_is_no_reading_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 the text is json's or ours
        load(content)


def test_a_device_that_answered_before_is_gone() -> None:
    before = complete(BOTH, None, boot="1", now=1.0)
    found = complete(Reading(115.0, BOTH.devices[:1]), before, boot="1", now=1.0)
    assert problems(found) == {"GPU-a": "", "GPU-b": "gone"}
    assert problems(complete(Reading(130.0, BOTH.devices[:1]), found, boot="1", now=1.0)) == {
        "GPU-a": "",
        "GPU-b": "gone",
    }


def test_a_device_that_is_taken_out_while_the_machine_is_off_is_not_missed() -> None:
    before = complete(BOTH, None, boot="1", now=1.0)
    assert problems(complete(Reading(115.0, BOTH.devices[:1]), before, boot="2", now=1.0)) == {"GPU-a": ""}


def test_a_device_that_cannot_be_opened_is_the_one_that_is_missing() -> None:
    before = complete(BOTH, None, boot="1", now=1.0)
    found = Reading(115.0, (BOTH.devices[0], Device("", problem="lost")))
    assert problems(complete(found, before, boot="1", now=1.0)) == {"GPU-a": "", "GPU-b": "lost"}
    assert problems(complete(found, None, boot="1", now=1.0)) == {"GPU-a": "", "unknown": "lost"}


def test_without_an_answer_every_device_is_in_doubt() -> None:
    before = complete(BOTH, None, boot="1", now=1.0)
    assert problems(no_answer(130.0, before, boot="1")) == {"GPU-a": "timed_out", "GPU-b": "timed_out"}
    assert problems(no_answer(130.0, None, boot="1")) == {"unknown": "timed_out"}


def test_a_library_that_is_not_there_says_nothing_of_the_devices() -> None:
    before = complete(BOTH, None, boot="1", now=1.0)
    found = complete(Reading(115.0, unavailable="no library"), before, boot="1", now=1.0)
    assert (found.devices, found.known) == ((), {"GPU-a": "RTX", "GPU-b": "RTX"})
