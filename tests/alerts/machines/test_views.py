"""What the rules see of machines elsewhere: who answers, and times by a clock that may be off."""

import pytest

from alerts.loop import as_it_came
from alerts.machines.views import START_SECONDS, MachineWatch
from alerts.rules import View, discover
from alerts.scraping.page import Page
from alerts.scraping.scraper import Scrape
from alerts.scraping.target import Target

NONE: frozenset[tuple[str, str]] = frozenset()
TARGETS = [Target(peer=peer, url="http://10.0.0.5:9700", machine="rack-1") for peer in ("amber", "basalt")]
NOW = 1_800_000_000.0


def page(clock: float, last_step: float, *, host: bool = True) -> Page:
    samples = {"trainer_last_step_timestamp_seconds": {NONE: last_step}, "trainer_steps_total": {NONE: 7.0}}
    if host:
        samples |= {"host_clock_timestamp_seconds": {NONE: clock}, "host_memory_total_bytes": {NONE: 1e9}}
    return Page(samples)


@pytest.mark.parametrize("lead", [3600.0, -3600.0, 45.0])
def test_times_of_a_clock_that_is_off_are_corrected_for_every_peer_there(lead: float) -> None:
    watch = MachineWatch(["rack-1"], TARGETS, 0.0)
    there = NOW + lead
    scrapes = {"amber": Scrape(page(there, there - 5.0)), "basalt": Scrape(page(0.0, there - 9.0, host=False))}
    corrected = watch.correct(scrapes, NOW)
    found = [corrected[peer].page for peer in ("amber", "basalt")]
    assert [one.value("trainer_last_step_timestamp_seconds") for one in found if one] == [NOW - 5.0, NOW - 9.0]
    assert all(one and one.value("trainer_steps_total") == 7.0 for one in found)
    (view,) = watch.views(corrected, NOW, 0.0)
    assert view.page is not None
    assert view.page.value("host_clock_lead_seconds") == pytest.approx(lead)


def test_an_old_page_is_no_slow_clock() -> None:
    watch = MachineWatch(["rack-1"], TARGETS, 0.0)
    for age in (1.0, 14.0, 28.0, 3.0, 17.0):
        corrected = watch.correct({"amber": Scrape(page(NOW - age, NOW - age))}, NOW)
    assert corrected["amber"].page is not None
    assert corrected["amber"].page.value("trainer_last_step_timestamp_seconds") == NOW - 17.0


def test_a_start_stays_where_it_was_while_the_difference_wavers() -> None:
    watch, starts = MachineWatch(["rack-1"], TARGETS, 0.0), set()
    for round_, late in enumerate((0.9, 0.2, 1.4, 0.05, 0.7) * 6):
        now = NOW + 15.0 * round_
        scrape = Scrape(page(now + 3600.0 - late, NOW + 3600.0), age_seconds=0.0)
        corrected = watch.correct({"amber": scrape}, now)["amber"].page
        assert corrected is not None
        starts.add(corrected.value("trainer_last_step_timestamp_seconds"))
    assert len(starts) == 1
    assert starts.pop() == pytest.approx(NOW, abs=2.0)


@pytest.mark.parametrize(("late", "expected"), [(4.0, NOW), (70.0, NOW + 70.0)], ids=["an old page", "a set clock"])
def test_a_start_stays_where_it_was_when_the_watcher_starts_again(late: float, expected: float) -> None:
    before = MachineWatch(["rack-1"], TARGETS, 0.0)
    before.correct({"amber": Scrape(page(NOW + 3600.0, NOW))}, NOW)
    assert before.leads == {"rack-1": 3600.0}
    watch = MachineWatch(["rack-1", "rack-2"], TARGETS, 0.0, {**before.leads, "gone": 9.0})
    corrected = watch.correct({"amber": Scrape(page(NOW + 3600.0 - late, NOW + 3600.0))}, NOW)["amber"].page
    assert corrected is not None
    assert corrected.value("trainer_last_step_timestamp_seconds") == expected
    assert "gone" not in watch.leads


def test_the_clock_of_a_machine_that_pushes_is_judged_by_when_its_page_came() -> None:
    watch = MachineWatch(["rack-1"], TARGETS, 0.0)
    for late in (14.0, 13.0, 12.5):
        kept = Scrape(page(NOW - late, NOW - late - 3.0), age_seconds=late)
        corrected = watch.correct({"amber": kept}, NOW)
    assert watch.lead_seconds("rack-1") == 0.0
    assert corrected["amber"].page is not None
    assert corrected["amber"].page.value("trainer_last_step_timestamp_seconds") == NOW - 15.5


def test_a_page_that_was_pushed_is_judged_as_of_when_it_came() -> None:
    samples = {"trainer_up": 1.0, "trainer_steps_total": 7.0, "trainer_stall_after_seconds": 30.0}
    times = dict.fromkeys(("trainer_last_step_timestamp_seconds", "trainer_phase_start_timestamp_seconds"), NOW)
    found = Page({name: {NONE: value} for name, value in {**samples, **times}.items()})
    state = found.plus("trainer_state", frozenset({("trainer_state", "training")}), 1.0)
    rule = discover()["PeerStalled"]

    def judge(silence: float, age: float) -> str:
        view = View(peer="amber", now=NOW + silence, page=state)
        return rule.judge(as_it_came(view, Scrape(state, age_seconds=age)), rule.settings()).condition

    assert [judge(20.0, 0.0), judge(40.0, 0.0)] == ["inactive", "active"]
    # Its next page, which has not come yet, may tell of a step.
    assert [judge(40.0, 15.0), judge(50.0, 15.0)] == ["inactive", "active"]


def test_a_machine_is_missed_once_none_of_its_sidecars_answers() -> None:
    watch = MachineWatch(["rack-1"], TARGETS, 0.0)
    answer, silence = Scrape(page(NOW, NOW, host=False)), Scrape(None, "no connection")
    (view,) = watch.views({"amber": silence, "basalt": answer}, NOW, 50.0)
    assert (view.page is not None, view.failure, view.unreachable_seconds) == (True, "", 0.0)
    (view,) = watch.views({"amber": silence, "basalt": silence}, NOW, 90.0)
    assert (view.page, view.failure, view.unreachable_seconds) == (None, "no connection", 40.0)


def test_a_machine_that_has_just_joined_is_not_missed_at_once() -> None:
    watch = MachineWatch(["rack-9"], [], 0.0)
    (view,) = watch.views({}, NOW, START_SECONDS)
    assert (view.scope, view.page, view.unreachable_seconds) == ("host", None, 0.0)
    (view,) = watch.views({}, NOW, START_SECONDS + 70.0)
    assert view.unreachable_seconds == 70.0
