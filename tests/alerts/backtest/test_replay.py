"""Recorded history, replayed: the same rules fire as recorded, changed rules differ, and the report says how."""

import ast
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts import rules
from alerts.backtest import replay
from alerts.backtest.replay import Backtest
from alerts.backtest.report import render, to_json
from alerts.config import Rules, RuleTable
from alerts.engine.evaluate import ActiveRule, AlertStates, evaluate
from alerts.engine.state import Moment
from alerts.history.folding import Folder
from alerts.history.recorder import Recorder
from alerts.history.samples import HistorySample
from alerts.history.settings import HistorySettings
from alerts.history.store import Store
from alerts.rules import View, discover
from alerts.scraping.page import Page
from tests.alerts.history.scenes import KEEP_ALL, NONE, START, Peer, sample_rounds

FOOTPRINT, RSS = (frozenset({("kind", kind)}) for kind in ("footprint", "rss"))
GIB = 2.0**30
HOURS = 4.0


class Watch:
    """Evaluates samples as the loop does, and records them."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.rules: RuleTable = Rules(**settings)
        self.recorder = Recorder(folder, KEEP_ALL)
        self.recorder.start()
        self._active = [
            ActiveRule(name, rule, self.rules.of(name))
            for name, rule in discover().items()
            if self.rules.of(name).enabled
        ]
        self._states = AlertStates()

    def see(self, group: list[HistorySample]) -> None:
        self._states, _ = evaluate(
            [sample.view for sample in group],
            self._active,
            self._states,
            Moment(group[0].view.now, group[0].elapsed_seconds),
            reminder_seconds=0.0,
        )
        while self.recorder.waiting > 40:
            time.sleep(0.001)
        self.recorder.record(group, self._states)


def _with_problems(group: list[HistorySample], since: float) -> list[HistorySample]:
    """Peer 0 hangs in the second hour, peer 1 uses much memory in the third; peer 2 is unreachable for a while."""
    hour = (group[0].view.now - since) / 3600
    changed = []
    for sample in group:
        name, now = sample.view.peer, sample.view.now
        page = {metric: dict(sample.view.page.values(metric)) for metric in _METRICS} if sample.view.page else {}
        page["trainer_memory_bytes"] = {FOOTPRINT: GIB, RSS: GIB}
        if name == "rig-0" and 1 <= hour < 1.2:
            page["trainer_last_step_timestamp_seconds"] = {NONE: since + 3600.0}
            page["trainer_phase_start_timestamp_seconds"] = {NONE: since + 3600.0}
        if name == "rig-1" and 2 <= hour < 2.5:
            page["trainer_memory_bytes"] = {FOOTPRINT: 3.6 * GIB, RSS: GIB}
        view = View(name, now, Page(page))
        if name == "rig-2" and 3 <= hour < 3.1:
            view = View(name, now, None, "no connection", unreachable_seconds=now - since - 3 * 3600)
        changed.append(sample._replace(view=view))
    return changed


_METRICS = tuple(Peer("a", 1).samples(START + 60))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    watch = Watch(folder)
    since = START - START % 3600
    peers = [Peer(f"rig-{number}", number) for number in range(3)]
    for group in sample_rounds(peers, since=since, seconds=HOURS * 3600):
        watch.see(_with_problems(group, since))
    while watch.recorder.waiting:
        time.sleep(0.001)
    watch.recorder.close()
    return watch.recorder.path


def _test(path: Path, since: float = START - 86400, **settings: Any) -> Backtest:
    steps: Iterator[Any] = replay.run(path, Rules(**settings), since, START + HOURS * 3600, slack_seconds=30.0)
    *_, result = steps
    assert isinstance(result, Backtest)
    return result


def test_the_rules_in_force_fire_as_they_did(recorded: Path) -> None:
    test = _test(recorded)
    fired = {one.rule: one.fired for one in test.results if one.fired}
    assert fired == {"PeerStalled": 1, "PeerDown": 1, "RankDrop": 3}
    assert [one for one in test.results if one.fired != one.recorded or one.new or one.gone] == []
    assert (test.subjects, test.samples) == (3, 3 * HOURS * 240)
    report = render(test)
    assert "\nSame firings as recorded.\n" in report
    (stalled,) = [line for line in report.splitlines() if line.startswith("PeerStalled")]
    assert stalled.split() == ["PeerStalled", "1", "11", "min", "15", "s", "1", "-", "-"]


def test_a_changed_threshold_names_what_is_new_and_what_is_gone(recorded: Path) -> None:
    test = _test(recorded, MemoryExceeded={"fraction": 0.8}, PeerDown={"unreachable_after": "20m"})
    report = render(test)
    assert "new: MemoryExceeded: rig-1, " in report
    assert "for 29 min 45 s. Memory 3.60 GiB, 90% of the limit of 4.00 GiB." in report
    assert "gone: PeerDown: rig-2, " in report
    results = {one["rule"]: one for one in to_json(test)["rules"]}
    assert results["MemoryExceeded"]["seconds"] == pytest.approx(1800, abs=60)
    assert [one["subject"] for one in results["MemoryExceeded"]["new"]] == ["rig-1"]
    assert (results["PeerDown"]["fired"], results["PeerDown"]["recorded"]) == (0, 1)


def test_the_report_names_what_was_not_replayed_and_where_the_data_begins(recorded: Path) -> None:
    report = render(_test(recorded))
    assert "not replayed: PeerRestarted, it reports an action of the loop\n" in report
    assert "not replayed: DiskLow, no data for it was recorded\n" in report
    assert "The history begins 23 h " in report
    assert "MemoryForecast" in report.splitlines()[-1]
    assert render(_test(recorded, since=START + 5 * 3600)).startswith("No samples since")


def test_a_thinned_history_keeps_long_firings(recorded: Path, tmp_path: Path) -> None:
    copy = tmp_path / "history.sqlite"
    copy.write_bytes(recorded.read_bytes())
    store = Store(copy)
    Folder(store, KEEP_ALL).work(START)
    tight = HistorySettings.model_construct(keep=KEEP_ALL.keep, max_megabytes=(store.size_bytes() - 30_000) / 1e6)
    _repeat(lambda: Folder(store, tight).work(START), 8)
    store.close()
    test = _test(copy)
    assert "thinned to about one sample per 5 min" in render(test)
    assert {one.rule: one.fired for one in test.results if one.fired}.get("PeerStalled") == 1


def test_every_rule_that_reads_unrecorded_data_is_listed() -> None:
    """A field of the view that the history does not hold must not hide a firing."""
    kept = {"peer", "now", "page", "failure", "scope", "memory"}
    kept |= {name for name, default in View._field_defaults.items() if isinstance(default, float)}
    for name in discover():
        module = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
        tree = ast.parse((Path(rules.__file__).parent / f"{module}.py").read_text())
        read = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "view"
        }
        assert bool(read & set(View._fields) - kept) == (name in replay.NOT_KEPT), name


def _repeat(work: Callable[[], None], times: int) -> None:
    for _ in range(times):
        work()
