"""What all dashboards share: variables, links between them, annotations, time range."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from grafana.series import of_alerts, of_peers

TAG = "peerwatch"
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
# Where the alert loop serves its pages by default; on a dashboard it can be changed.
PAGE = "http://127.0.0.1:8750"
TITLES = {"fleet": "Fleet", "peer": "Peer", "swarm": "Swarm"}

_SELECTION = "${__url_time_range}&${datasource:queryparam}&${fleet:queryparam}"

PanelBuilder = Builder[models.Panel]


@dataclass(frozen=True)
class Section:
    """A row of panels; a collapsed one sends no queries until it is opened."""

    title: str
    panels: Sequence[PanelBuilder] = field(default_factory=tuple)
    is_collapsed: bool = False


def uid(name: str) -> str:
    return f"peerwatch-{name}"


def link(name: str, *, peer: str = "${peer:queryparam}") -> dashboard.DashboardLink:
    """A link to another dashboard, with the same time range, data source, fleets and peers."""
    title = f"Peerwatch: {TITLES[name]}"
    return dashboard.DashboardLink(title).url(f"/d/{uid(name)}?{_SELECTION}&{peer}").type(models.DashboardLinkType.LINK)


def link_of_series() -> dashboard.DashboardLink:
    """A link from a peer's series to its Peer dashboard."""
    return link("peer", peer="var-peer=${__field.labels.peer}")


def link_to_page() -> dashboard.DashboardLink:
    """A link to the peer's page of the alert loop, whose address is a variable."""
    link = dashboard.DashboardLink("Peer's page").type(models.DashboardLinkType.LINK)
    return link.url("${page:raw}/peers/${peer:percentencode}").target_blank(True)


def make(name: str, description: str, sections: Sequence[Section], *, has_page: bool = False) -> models.Dashboard:
    """The dashboard `name` with these sections from top to bottom; `has_page` links to the alert loop's page."""
    board = (
        dashboard.Dashboard(f"Peerwatch: {TITLES[name]}")
        .uid(uid(name))
        .description(description)
        .tags([TAG])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_choice("fleet", "Fleet", "label_values(trainer_up, fleet)"))
        .with_variable(_choice("peer", "Peer", f"label_values({of_peers('trainer_up').partition(',')[0]}}}, peer)"))
        .links([_menu(), link_to_page()] if has_page else [_menu()])
        .annotations(_annotations())
    )
    if has_page:
        board.with_variable(dashboard.TextBoxVariable("page").label("Alert loop").default_value(PAGE))
    for section in sections:
        _add(board, section)
    built = board.build()
    _number(built)
    return built


def _add(board: dashboard.Dashboard, section: Section) -> None:
    row = dashboard.Row(section.title)
    if section.is_collapsed:
        for panel in section.panels:
            row.with_panel(panel)
    board.with_row(row)
    if not section.is_collapsed:
        for panel in section.panels:
            board.with_panel(panel)


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        # Shorter than the names of 300 peers, and it requires the label.
        .all_value(".+")
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _menu() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Peerwatch")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


def _annotations() -> list[Builder[models.AnnotationQuery]]:
    """Starts and alerts of the selected peers, drawn over every graph."""
    starts = f"1000 * {of_peers('trainer_start_timestamp_seconds')}"
    return [
        _Annotation("Starts", "orange", starts, "{{peer}} started", is_time=True),
        _Annotation("Alerts", "red", of_alerts(), "{{alertname}} {{peer}}"),
    ]


class _PrometheusAnnotation(models.AnnotationQuery):
    """Adds the fields of Grafana's Prometheus plug-in that the SDK's model of an annotation lacks."""

    text_format: str = ""
    is_time: bool = False

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {
            "titleFormat": self.name,
            "textFormat": self.text_format,
            "tagKeys": "peer",
            # The value is the event's time in milliseconds.
            "useValueForTime": self.is_time,
        }


class _Annotation(Builder[models.AnnotationQuery]):
    def __init__(self, name: str, colour: str, expression: str, text: str, *, is_time: bool = False) -> None:
        self._built = _PrometheusAnnotation(name=name, datasource=SOURCE, icon_color=colour, expr=expression)
        self._built.text_format, self._built.is_time = text, is_time

    def build(self) -> models.AnnotationQuery:
        return self._built


def _number(board: models.Dashboard) -> None:
    """Assigns ids in reading order, so that they do not depend on the order of construction."""
    number = 0
    for panel in board.panels or []:
        for one in (panel, *(getattr(panel, "panels", None) or [])):
            number += 1
            one.id_val = number
