"""The page about routes names every plug-in that is installed, once, and those with a code as they are judged."""

import pkgutil
import re
from importlib.metadata import version
from pathlib import Path

import apprise.plugins
import pytest

from alerts.delivery.answers import SIGNS, WORDS

PAGE = (Path(__file__).parents[3] / "docs" / "routes.md").read_text(encoding="utf-8")
_, _SERVICES = PAGE.split("## Services one by one")


def _names(text: str) -> list[str]:
    return re.findall(r"`([a-z0-9_]+)`", text)


@pytest.mark.skipif(not version("apprise").startswith("2.2."), reason="the page is about apprise 2.2")
def test_every_plug_in_was_gone_through() -> None:
    table, rest = _SERVICES.split("**Judged by the answer, in the plug-in**")
    named = _names("".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))) + _names(rest)
    installed = {one.name for one in pkgutil.iter_modules(apprise.plugins.__path__)} - {"base"}
    assert sorted(named) == sorted(installed)


def test_the_table_has_each_service_with_the_field_that_decides() -> None:
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", _SERVICES, re.MULTILINE)
    decides = {name: set(re.findall(r"`([\w.]+)`", fields)) for names, fields in rows for name in _names(names)}
    judged = {name: {sign.path.rstrip("*") for sign in signs} for name, signs in SIGNS.items()}
    assert decides == judged | {name: {word} for name, word in WORDS.items()}
