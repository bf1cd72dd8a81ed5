"""Every language is complete, with the same placeholders; adding one is adding its file."""

import ast
import string
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import ValidationError

import alerts.i18n
from alerts.charts.choose import KINDS
from alerts.config import AlertsConfig, describe_errors
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.route_style import RouteStyles
from alerts.engine.evaluate import Event, Key
from alerts.engine.peer_state import SEVERITIES
from alerts.evidence import gather
from alerts.i18n import Words, discover
from alerts.messages.single import render
from alerts.rules import discover as discover_rules
from alerts.web.live_page import LivePage
from alerts.web.page.render import Content, Renderer
from exporter.problems.classes import CLASSES

ROOT = Path(__file__).parents[3]
LANGUAGES = discover()
OTHERS = sorted(set(LANGUAGES) - {"en"})
# What a language need not have.
OPTIONAL = {"units", "texts", "terms", "remedies", "between_sentences", "fonts"}
ALERT_PHASES = {"firing", "pending"}


def _templates() -> set[str]:
    """Every template passed to `say` in the source."""
    found = {*gather._UNUSUAL.values(), *(text for one in CLASSES for text in (one.message, one.remedy))}
    for path in (ROOT / "alerts").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        calls = [node.args[0] for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say"]
        found |= {template.value for template in calls if isinstance(template, ast.Constant)}
        names = {template.id for template in calls if isinstance(template, ast.Name)}
        assert names <= {"template", "unusual"}, path
        for node in nodes:
            if names and isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "template":
                assert isinstance(node.value, ast.Constant), path
                found.add(node.value.value)
    return found


def _placeholders(template: str) -> list[tuple[str, str]]:
    """The placeholders of a template by name, or by number where they have none."""
    found = [(name, spec or "") for _, name, spec, _ in string.Formatter().parse(template) if name is not None]
    return sorted((name or str(number), spec) for number, (name, spec) in enumerate(found))


def _keyed(words: Words) -> dict[str, str]:
    """Every text that has a key, as `bot.ack`."""
    found = {}
    for name in (one.name for one in fields(Words) if one.name not in OPTIONAL):
        value = getattr(words, name)
        found |= {f"{name}.{key}": text for key, text in value.items()} if isinstance(value, dict) else {name: value}
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_translated_and_none_is_left_over(language: str) -> None:
    words = LANGUAGES[language]
    assert set(words.texts) == _templates()
    assert set(words.remedies) == set(discover_rules())
    assert set(words.terms) == {*SEVERITIES, *ALERT_PHASES}
    assert set(words.units) in (set(), {"d", "h", "min", "s"})
    for template, text in words.texts.items():
        assert _placeholders(template) == _placeholders(text)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_text_of_the_page_stands_in_for_a_states_name(language: str) -> None:
    """A chart's curve has the name of a number or of a state."""
    assert not set(LANGUAGES[language].page) & set(SEVERITIES)


@pytest.mark.parametrize("language", OTHERS)
def test_every_key_has_a_text_with_the_same_placeholders(language: str) -> None:
    english, other = (
        [(key, _placeholders(text)) for key, text in _keyed(LANGUAGES[one]).items()] for one in ("en", language)
    )
    # In the same order: a message lists its sections in the order of `prefix`.
    assert other == english


def test_every_chart_has_a_title() -> None:
    assert set(LANGUAGES["en"].charts) == {*(kind.metric for kind in KINDS.values()), "limit"}


ESPERANTO = """
from dataclasses import replace

from alerts.i18n.en import WORDS as ENGLISH

WORDS = replace(
    ENGLISH,
    fleet_severity="Floto {}, graveco {}",
    page={**ENGLISH.page, "alerts": "Alarmoj"},
    remedies={"PeerDown": "Restartigu."},
)
"""


def test_a_language_is_added_by_adding_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eo.py").write_text(ESPERANTO)
    monkeypatch.setattr(alerts.i18n, "__path__", [*alerts.i18n.__path__, str(tmp_path)])
    config = AlertsConfig.model_validate({"fleet": "demo", "state_dir": tmp_path, "language": "eo"})
    event = Event(Key("PeerDown", "a"), "firing", 1000.0, 1000.0, "critical", "Gone.")
    message = render(event, RouteStyles(config, Sender({})).style())
    assert message.body.splitlines()[2:] == ["Floto demo, graveco critical", "What to do: Restartigu."]
    content = Content("demo", 1000.0, 1000.0, is_healthy=True, stale_after=60.0)
    page = LivePage(Renderer(config.language, None), lambda: content).page()
    assert '<html lang="eo"' in page
    assert '<h2 id="alerts-heading">Alarmoj</h2>' in page


def test_an_unknown_language_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as raised:
        AlertsConfig.model_validate({"fleet": "demo", "state_dir": tmp_path, "language": "tlh"})
    assert describe_errors(raised.value) == ["language: unknown language 'tlh'; known: en, zh-CN"]
