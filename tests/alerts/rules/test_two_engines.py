"""On the same histories our own loop and Prometheus' rules fire and resolve for the same peers, within one evaluation.

promtool plays the rule file over each history with Prometheus' own rule engine. Beside the history it gets where our
loop fires, so that one expression names every pair that differs.

`make test` plays each problem in each of its sizes, alone and with one other thing, which differs from one to the next;
`make bench` plays all histories.
"""

import subprocess
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.config import AlertsConfig
from alerts.export.prometheus import render_rules
from alerts.rules import discover
from tests.alerts.rules.engines import active_rules, evaluations_of, replay
from tests.alerts.rules.histories import TICKS, History, generate, part_of, settings
from tests.alerts.rules.scenarios import split_sample
from tests.programs import require

SEED = 7
TICK = 60.0
PAIR = "on (alertname, instance)"
FIRING = 'sum by (alertname, instance) (ALERTS{alertstate="firing"})'
# Rules that learn have no PromQL: Prometheus reads them from the alert loop.
LEARNED = {name for name, rule in discover().items() if rule.promql is None}


@pytest.mark.parametrize("is_whole", [False, pytest.param(True, marks=pytest.mark.bench)], ids=["a part", "all"])
def test_both_engines_fire_and_resolve_within_one_evaluation(tmp_path: Path, is_whole: bool) -> None:
    histories = generate(SEED)
    assert len(histories) >= 200
    if not is_whole:
        histories = part_of(histories, others=1)
        assert len(histories) >= 60
    rules = tmp_path / "rules.yaml"
    config = AlertsConfig.model_validate({"fleet": "demo", "state_dir": "/state", "rules": settings(TICK)})
    rules.write_text(render_rules(config.rules))
    series = [one for history in histories for one in _series(history)]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": " ".join(values)} for name, values in series],
        "promql_expr_test": list(_comparisons()),
    }
    tests = tmp_path / "tests.yaml"
    tests.write_text(
        yaml.dump({"rule_files": [str(rules)], "tests": [test]}, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))
    )
    result = subprocess.run(
        [require("promtool"), "test", "rules", str(tests)], capture_output=True, text=True, check=False
    )
    differences = [line for line in (result.stdout + result.stderr).splitlines() if "got:" in line or "err:" in line]
    assert result.returncode == 0, "\n".join(differences)[:20000]


def _series(history: History) -> Iterator[tuple[str, list[str]]]:
    """What is scraped, and where our loop fires: for certain, or within one evaluation of a change."""
    pages = history.pages(0.0, TICK)
    own = f'instance="{history.name}",job="peerwatch"' + ("" if history.is_host else f',peer="{history.name}"')
    found: dict[str, dict[int, str]] = {}
    for tick, page in enumerate(pages):
        for line in ["up 0"] if page is None else ["up 1", *page.splitlines()]:
            name, labels, value = split_sample(line)
            text = ",".join([own, *(f'{label}="{content}"' for label, content in labels.items())])
            found.setdefault(f"{name}{{{text}}}", {})[tick] = f"{value:.17g}"
    for name, values in found.items():
        yield name, [values.get(tick, "stale") for tick in range(TICKS)]
    evaluations = evaluations_of(pages, 0.0, TICK)
    for rule, course in replay(evaluations, active_rules(settings(TICK)), is_host=history.is_host).items():
        # In Prometheus a duration that is interrupted starts again.
        if course.is_interrupted or rule in LEARNED:
            continue
        pair = f'{{alertname="{rule}",instance="{history.name}"}}'
        near = [course.fires[max(0, tick - 1) : tick + 2] for tick in range(TICKS)]
        yield f"loop_watches{pair}", ["1"] * TICKS
        yield f"loop_must{pair}", ["1" if all(fires) else "stale" for fires in near]
        yield f"loop_may{pair}", ["1" if any(fires) else "stale" for fires in near]
        if any(course.fires):
            yield f"loop_changes{pair}", [str(_count_changes(course.fires))] * TICKS


def _count_changes(fires: Sequence[bool]) -> int:
    return sum(one != other for one, other in pairwise(fires))


def _comparisons() -> Iterator[dict[str, Any]]:
    """Each must find nothing."""
    watched = f"{FIRING} and {PAIR} loop_watches"
    wrong = {
        "loop fires alone": f"loop_must unless {PAIR} {FIRING}",
        "Prometheus fires alone": f"{watched} unless {PAIR} loop_may",
    }
    for tick in range(TICKS):
        for expression in wrong.values():
            yield {"expr": expression, "eval_time": f"{tick}m", "exp_samples": []}
    for rule in discover().keys() - LEARNED:
        own = f'{{alertname="{rule}"}}'
        fires = f'sum by (alertname, instance) (ALERTS{{alertname="{rule}",alertstate="firing"}})'
        states = f"{fires} > bool 0 or {PAIR} 0 * loop_changes{own}"
        changes = f"changes(({states})[{TICKS - 1}m:1m]) != {PAIR} loop_changes{own}"
        yield {"expr": changes, "eval_time": f"{TICKS - 1}m", "exp_samples": []}
