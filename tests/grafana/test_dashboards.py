"""The dashboards are up to date, valid, complete, without gaps, and query only what is exported."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.__main__ import HERE, encode, generated
from grafana.series import of_peers, of_services, peer_series, service_series
from tests.grafana.queries import boards, names_in, panels, queries
from tests.programs import require

# Of https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
UNITS = {"short", "s", "bytes", "percentunit", "dateTimeFromNow", "none"}
# Fields that Grafana's Prometheus plug-in reads and the SDK's model of an annotation lacks.
OF_THE_PLUGIN = ("titleFormat", "textFormat", "tagKeys", "useValueForTime")
BOARDS = boards()
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in panels(board)]
TITLES = [f"{name}-{panel['title']}" for name, panel in PANELS]


def test_every_generated_file_is_up_to_date() -> None:
    # After a change: python -m grafana
    files = generated()
    assert {path: path.read_text() for path in files} == files


@pytest.mark.parametrize("name", BOARDS)
def test_the_json_is_valid_for_the_sdk(name: str) -> None:
    register_default_plugins()
    board = boards()[name]
    parsed = json.loads(encode(Dashboard.from_json(board)))
    for annotation in board["annotations"]["list"]:
        assert annotation["titleFormat"]
        for field in OF_THE_PLUGIN:
            del annotation[field]
    assert parsed == board


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=TITLES)
def test_a_panel_has_a_description_and_the_selected_source(name: str, panel: dict[str, Any]) -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    defaults = panel["fieldConfig"]["defaults"]
    assert len(panel["description"]) > 20
    assert panel["description"].endswith(".")
    assert defaults["unit"] in UNITS
    assert defaults["thresholds"]["steps"][0]["value"] is None
    assert panel["links"][0]["url"].startswith("/d/peerwatch-")
    assert panel["targets"]
    assert [one["datasource"] for one in (panel, *panel["targets"])] == [source] * (1 + len(panel["targets"]))
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fill_the_grid_without_overlaps_and_gaps(name: str) -> None:
    covered: dict[tuple[int, int], str] = {}
    all_panels = [one for panel in BOARDS[name]["panels"] for one in (panel, *(panel.get("panels") or []))]
    for panel in all_panels:
        position = panel["gridPos"]
        for x in range(position["x"], position["x"] + position["w"]):
            for y in range(position["y"], position["y"] + position["h"]):
                assert (x, y) not in covered, (panel["title"], covered[x, y])
                covered[x, y] = panel["title"]
    depth = 1 + max(y for _, y in covered)
    assert set(covered) == {(x, y) for x in range(24) for y in range(depth)}


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_has_its_variables_links_and_ids(name: str) -> None:
    board = BOARDS[name]
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert list(variables) == ["datasource", "fleet", "peer", *(["page"] if name == "peer" else [])]
    assert variables["datasource"]["query"] == "prometheus"
    assert all(variables[name]["includeAll"] and variables[name]["multi"] for name in ("fleet", "peer"))
    assert board["links"][0]["tags"] == board["tags"] == ["peerwatch"]
    pages = [link["url"] for link in board["links"] if link["type"] == "link"]
    assert pages == (["${page:raw}/peers/${peer:percentencode}"] if name == "peer" else [])
    ids = [panel["id"] for panel in panels(board)]
    assert len(set(ids)) == len(ids)
    known = {f"/d/{one['uid']}?" for one in BOARDS.values()}
    urls = re.findall(r"/d/peerwatch-[a-z]+\?", json.dumps(board))
    assert set(urls) <= known


@pytest.mark.parametrize("name", BOARDS)
def test_colours_are_named_so_that_themes_adapt_them(name: str) -> None:
    assert not re.findall(r'"#[0-9a-fA-F]{3,8}"|rgba?\(', json.dumps(BOARDS[name]))


def test_queries_select_only_exported_series_and_no_subqueries() -> None:
    known = {*peer_series(), *service_series(), "up", "ALERTS", "ALERTS_FOR_STATE"}
    for query in queries():
        assert names_in(query.expression) <= known, query.title
        assert not re.search(r"\[[^\]]*:[^\]]*\]", query.expression), f"{query.title}: a subquery"
        assert '=~".*"' not in query.expression, query.title


def test_every_exported_metric_is_on_a_dashboard() -> None:
    queried = set().union(*(names_in(query.expression) for query in queries()))
    histograms = {name.removesuffix("_bucket") for name in peer_series() if name.endswith("_bucket")}
    parts = {f"{name}_{part}" for name in histograms for part in ("sum", "count")}
    assert {*peer_series(), *service_series()} - parts <= queried


def test_every_query_is_valid_promql(tmp_path: Path) -> None:
    rules = [{"record": f"a:{number}", "expr": query.expression} for number, query in enumerate(queries())]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = subprocess.run([require("promtool"), "check", "rules", str(path)], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_an_unknown_metric_or_label_breaks_the_build() -> None:
    with pytest.raises(KeyError):
        of_peers("trainer_luck")
    with pytest.raises(KeyError):
        of_services("trainer_up")
    with pytest.raises(ValueError, match="trainer_memory_bytes has no label sort"):
        of_peers("trainer_memory_bytes", sort="rss")
    assert of_peers("trainer_memory_bytes", kind='a"b') == (
        'trainer_memory_bytes{fleet=~"$fleet",peer=~"$peer",kind="a\\"b"}'
    )


def test_the_provisioned_prometheus_configuration_is_valid() -> None:
    path = HERE / "provisioning" / "prometheus" / "prometheus.yaml"
    checked = subprocess.run([require("promtool"), "check", "config", str(path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
