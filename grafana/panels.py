"""One function per kind of panel; colours are Grafana's named ones, which adapt to the light and dark theme."""

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

# Thresholds: the value from which a colour applies; None for all values below.
Steps = Sequence[tuple[float | None, str]]
NEUTRAL: Steps = ((None, "green"),)
ANY_IS_BAD: Steps = ((None, "green"), (1, "red"))
NONE_IS_BAD: Steps = ((None, "red"), (1, "green"))


# Column titles of labels.
_LABELS = {
    "fleet": "Fleet",
    "peer": "Peer",
    "alertname": "Alert",
    "severity": "Severity",
    "version": "Version",
    "nickname": "Nickname",
    "peer_id": "Peer id",
    "source": "Source",
    "contract": "Contract",
    "model": "Model",
    "device": "Device",
}


@dataclass(frozen=True)
class About:
    """A panel's title, description, unit and scale; `drill_down` is the dashboard that it links to."""

    title: str
    description: str
    unit: str
    drill_down: str
    steps: Steps = NEUTRAL
    limits: tuple[float | None, float | None] = (None, None)
    decimals: int | None = None


@dataclass(frozen=True)
class Query:
    """An expression, the legend of its series, and the minimum step."""

    expression: str
    legend: str = "{{peer}}"
    interval: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of a table: the expression of its values, one per row, and their format."""

    title: str
    expression: str
    unit: str = "short"
    steps: Steps = ()
    is_gauge: bool = False
    is_state: bool = False
    decimals: int | None = None


@dataclass(frozen=True)
class Style:
    """How a graph draws its series; `band` names the two series to fill between."""

    is_stacked: bool = False
    is_stepped: bool = False
    dashed: Sequence[str] = field(default_factory=tuple)
    band: tuple[str, str] | None = None


def graph(
    about: About, *queries: Query, span: int = 12, height: int = 8, style: Style | None = None
) -> timeseries.Panel:
    """Values over time."""
    style = style or Style()
    panel: timeseries.Panel = _described(timeseries.Panel(), about, span, height)
    (
        panel.fill_opacity(70 if style.is_stacked else 8)
        .line_width(0 if style.is_stacked else 1)
        .show_points(shown.VisibilityMode.NEVER)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(shown.TooltipDisplayMode.MULTI).sort(shown.SortOrder.DESCENDING))
    )
    if any("{{peer}}" in query.legend for query in queries):
        panel.data_links([link_of_series()])
    if style.is_stacked:
        panel.stacking(common.StackingConfig().mode(shown.StackingMode.NORMAL).group("A"))
    if style.is_stepped:
        panel.line_interpolation(shown.LineInterpolation.STEP_AFTER)
    if len(about.steps) > 1:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(shown.GraphThresholdsStyleMode.DASHED))
    for pattern in style.dashed:
        panel.override_by_regexp(pattern, [_property("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})])
    if style.band:
        upper, lower = style.band
        panel.override_by_regexp(f"{upper}|{lower}", [_property("custom.lineWidth", 0)])
        panel.override_by_regexp(upper, [_property("custom.fillBelowTo", lower)])
    return _with_targets(panel, [_range_query(query) for query in queries])


def number(about: About, *queries: Query, span: int = 4, height: int = 4) -> stat.Panel:
    """One number, coloured by its thresholds, over a sparkline."""
    panel: stat.Panel = _described(stat.Panel(), about, span, height)
    (
        panel.color_mode(shown.BigValueColorMode.VALUE)
        .graph_mode(shown.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    )
    return _with_targets(panel, [_range_query(query) for query in queries])


def timeline(
    about: About, *queries: Query, height: int = 8, mapped: models.ValueMapping | None = None
) -> statetimeline.Panel:
    """A bar per series, coloured by value; by default the values are peer states."""
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
        # As many as are legible at this height; the rest is on further pages.
        .per_page(height + 2)
        .data_links([link_of_series()])
    )
    return _with_targets(panel, [_range_query(query) for query in queries])


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
    query = _range_query(Query(expression, "{{le}}")).format(PromQueryFormat.HEATMAP)
    return _with_targets(panel, [query])


def rows(about: About, columns: Sequence[Column], *, span: int = 24, height: int = 8) -> table.Panel:
    """A table with a row per peer; the columns' expressions aggregate by the labels to show.

    A column without a title only contributes its labels.
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
    return _with_targets(panel, queries)


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
        .links([link(about.drill_down)])
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


def _range_query(query: Query) -> prometheus.Dataquery:
    built = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).range()
    return built.interval(query.interval) if query.interval else built


def _with_targets(panel: Any, queries: Sequence[prometheus.Dataquery]) -> Any:
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(query.ref_id(letter).datasource(SOURCE))
    return panel


def _property(name: str, value: object) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val=name, value=value)
