"""One function for each kind of panel; colours are Grafana's named ones, which it adapts to light and dark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as shown
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.frame import SOURCE, link, link_of_series
from grafana.states import state_names

# From which value on which colour counts; None stands for all values below.
Steps = Sequence[tuple[float | None, str]]
NEUTRAL: Steps = ((None, "green"),)
ANY_IS_BAD: Steps = ((None, "green"), (1, "red"))
NONE_IS_BAD: Steps = ((None, "red"), (1, "green"))


# Labels as headings of a table.
_LABELS = {
    "fleet": "Fleet",
    "peer": "Peer",
    "alertname": "Alert",
    "severity": "Severity",
    "version": "Version",
    "nickname": "Nickname",
    "peer_id": "Peer id",
    "model": "Model",
    "device": "Device",
}


@dataclass(frozen=True)
class About:
    """What a panel says of itself; `leads_to` is the dashboard that tells more."""

    title: str
    description: str
    unit: str
    leads_to: str
    steps: Steps = NEUTRAL
    limits: tuple[float | None, float | None] = (None, None)
    decimals: int | None = None


@dataclass(frozen=True)
class Query:
    """An expression, how its series are called, and the least distance of its points."""

    expression: str
    legend: str = "{{peer}}"
    interval: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of a table: the expression of its values, one a row, and how they are shown."""

    title: str
    expression: str
    unit: str = "short"
    steps: Steps = ()
    is_gauge: bool = False
    is_state: bool = False
    decimals: int | None = None


@dataclass(frozen=True)
class Look:
    """How a graph draws its series; `band` names the two whose space between is filled."""

    stacks: bool = False
    steps_of_line: bool = False
    dashed: Sequence[str] = field(default_factory=tuple)
    band: tuple[str, str] | None = None


def graph(about: About, *queries: Query, span: int = 12, height: int = 8, look: Look | None = None) -> timeseries.Panel:
    """Values over time."""
    look = look or Look()
    panel: timeseries.Panel = _described(timeseries.Panel(), about, span, height)
    (
        panel.fill_opacity(70 if look.stacks else 8)
        .line_width(0 if look.stacks else 1)
        .show_points(shown.VisibilityMode.NEVER)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(shown.TooltipDisplayMode.MULTI).sort(shown.SortOrder.DESCENDING))
    )
    if any("{{peer}}" in query.legend for query in queries):
        panel.data_links([link_of_series()])
    if look.stacks:
        panel.stacking(common.StackingConfig().mode(shown.StackingMode.NORMAL).group("A"))
    if look.steps_of_line:
        panel.line_interpolation(shown.LineInterpolation.STEP_AFTER)
    if len(about.steps) > 1:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(shown.GraphThresholdsStyleMode.DASHED))
    for pattern in look.dashed:
        panel.override_by_regexp(pattern, [_property("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})])
    if look.band:
        upper, lower = look.band
        panel.override_by_regexp(f"{upper}|{lower}", [_property("custom.lineWidth", 0)])
        panel.override_by_regexp(upper, [_property("custom.fillBelowTo", lower)])
    return _asked(panel, [_ranged(query) for query in queries])


def number(about: About, *queries: Query, span: int = 4, height: int = 4) -> stat.Panel:
    """One number, coloured by the steps, over a line of its past."""
    panel: stat.Panel = _described(stat.Panel(), about, span, height)
    (
        panel.color_mode(shown.BigValueColorMode.VALUE)
        .graph_mode(shown.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    )
    return _asked(panel, [_ranged(query) for query in queries])


def timeline(
    about: About, *queries: Query, height: int = 8, mapped: models.ValueMapping | None = None
) -> statetimeline.Panel:
    """A bar for each series, coloured by its value; by default the values are peers' states."""
    panel: statetimeline.Panel = _described(statetimeline.Panel(), about, 24, height)
    (
        panel.mappings([mapped or state_names()])
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .merge_values(True)
        .show_value(shown.VisibilityMode.AUTO)
        .row_height(0.8)
        .fill_opacity(80)
        .line_width(0)
        .legend(_legend())
        # As many as can be read at this height; the others are on further pages.
        .per_page(height + 2)
        .data_links([link_of_series()])
    )
    return _asked(panel, [_ranged(query) for query in queries])


def heat(about: About, expression: str, *, height: int = 8) -> heatmap.Panel:
    """A histogram over time, from its buckets."""
    panel: heatmap.Panel = _described(heatmap.Panel(), about, 12, height)
    (
        panel.calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(32))
        .y_axis(heatmap.YAxisConfig().unit(about.unit))
        .cell_gap(1)
        .scale_distribution(common.ScaleDistributionConfig().type(shown.ScaleDistribution.LINEAR))
        .exemplars_color("purple")
        .show_legend()
    )
    query = _ranged(Query(expression, "{{le}}")).format(PromQueryFormat.HEATMAP)
    return _asked(panel, [query])


def rows(about: About, columns: Sequence[Column], *, span: int = 24, height: int = 8) -> table.Panel:
    """A table with a row for each peer; the columns' expressions aggregate by the labels that are shown.

    A column without a title is there for its labels only.
    """
    panel: table.Panel = _described(table.Panel(), about, span, height)
    values = [f"Value #{letter}" for letter in ascii_uppercase[: len(columns)]] if len(columns) > 1 else ["Value"]
    titles = dict(zip(values, (column.title for column in columns), strict=True))
    options = {
        "excludeByName": dict.fromkeys(["Time", *(value for value, title in titles.items() if not title)], True),
        "renameByName": _LABELS | {value: title for value, title in titles.items() if title},
    }
    panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=options))
    panel.show_header(True).cell_height(shown.TableCellHeight.SM).filterable(True)
    panel.override_by_name("Peer", [_property("links", [_peer_link()])])
    for column in columns:
        if column.title:
            panel.override_by_name(column.title, _cell(column))
    queries = [
        prometheus.Dataquery().expr(column.expression).instant().format(PromQueryFormat.TABLE) for column in columns
    ]
    return _asked(panel, queries)


def _cell(column: Column) -> list[models.DynamicConfigValue]:
    found = [_property("unit", column.unit)]
    if column.decimals is not None:
        found.append(_property("decimals", column.decimals))
    if column.is_state:
        found += [_property("mappings", [state_names()]), _property("custom.cellOptions", {"type": "color-text"})]
    if column.steps:
        found.append(_property("thresholds", _thresholds(column.steps).build()))
        found.append(_property("custom.cellOptions", _coloured(column)))
    if column.is_gauge:
        found += [_property("min", 0), _property("max", 1)]
    return found


def _coloured(column: Column) -> Mapping[str, str]:
    return {"type": "gauge", "mode": "basic"} if column.is_gauge else {"type": "color-text"}


def _peer_link() -> dict[str, str]:
    built = link("peer", peer="var-peer=${__value.text}").build()
    return {"title": built.title, "url": built.url or ""}


def _described(panel: Any, about: About, span: int, height: int) -> Any:
    (
        panel.title(about.title)
        .description(about.description)
        .datasource(SOURCE)
        .unit(about.unit)
        .thresholds(_thresholds(about.steps))
        .links([link(about.leads_to)])
        .span(span)
        .height(height)
    )
    low, high = about.limits
    if low is not None:
        panel.min(low)
    if high is not None:
        panel.max(high)
    if about.decimals is not None:
        panel.decimals(about.decimals)
    return panel


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    found = [models.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(found)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(shown.LegendDisplayMode.LIST)
        .placement(shown.LegendPlacement.BOTTOM)
        .show_legend(True)
    )


def _ranged(query: Query) -> prometheus.Dataquery:
    asked = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).range()
    return asked.interval(query.interval) if query.interval else asked


def _asked(panel: Any, queries: Sequence[prometheus.Dataquery]) -> Any:
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(query.ref_id(letter).datasource(SOURCE))
    return panel


def _property(name: str, value: object) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val=name, value=value)
