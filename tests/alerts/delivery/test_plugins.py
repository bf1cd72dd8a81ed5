"""Only the plug-ins of the routes in use are loaded, and every URL that apprise knows is still served."""

import json
import subprocess
import sys
import textwrap

import pytest

from alerts.delivery.plugins import find_plugins

SLACK = "https://hooks.slack.com/services/T12345678/B12345678/abcdefghijklmnopqrstuvwx"
DISCORD = "discord://411155555551215155/abcdefghijklmnopqrstuvwxyz"


def run_python(code: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=360, check=True).stdout.strip()


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_a_url_leads_to_its_plugin_whatever_its_spelling() -> None:
    assert find_plugins(["tgram://123456789:abcdefghijklmnopqrstuvwxyz/42"]) == ["telegram"]
    assert find_plugins(["mailto://a:b@gmail.com", "mailtos://c:d@example.org"]) == ["email"]
    assert find_plugins([SLACK, DISCORD]) == ["discord", "slack"]
    assert find_plugins(["nonsense://x", "no URL", ""]) == []


def test_the_routes_plugins_alone_are_loaded() -> None:
    loaded = run_python(f"""
        import json, sys
        from alerts.delivery.plugins import load_plugins
        from alerts.delivery.apprise_sender import Sender
        urls = {{"chat": "{SLACK}", "hook": "json://localhost", "mail": "mailto://a:b@gmail.com"}}
        load_plugins(urls.values())
        kinds = [Sender(urls).describe(route) for route in urls]
        print(json.dumps([kinds, "apprise.plugins.discord" in sys.modules, "apprise.plugins.slack" in sys.modules]))
    """)
    assert json.loads(loaded) == [["Slack", "JSON", "E-Mail"], False, True]


def test_a_url_of_another_service_is_served_all_the_same() -> None:
    kind = run_python(f"""
        from alerts.delivery.plugins import load_plugins
        from alerts.delivery.apprise_sender import Sender
        load_plugins(["json://localhost"])
        print(Sender({{"chat": "{DISCORD}"}}).describe("chat"))
    """)
    assert kind == "Discord"


def test_all_are_loaded_where_no_process_can_be_started() -> None:
    kind = run_python("""
        import sys
        sys.executable = "/nowhere/python"
        from alerts.delivery.plugins import load_plugins
        from alerts.delivery.apprise_sender import Sender
        load_plugins(["json://localhost"])
        print(Sender({"hook": "json://localhost"}).describe("hook"), "apprise.plugins.discord" in sys.modules)
    """)
    assert kind == "JSON True"


def test_a_url_is_no_argument_of_the_process_that_is_asked(tmp_path) -> None:
    spy = tmp_path / "python"
    spy.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nexec {sys.executable} "$@"\n')
    spy.chmod(0o755)
    run_python(f"""
        import sys
        sys.executable = "{spy}"
        from alerts.delivery.plugins import load_plugins
        load_plugins(["json://user:hunter2@localhost"])
        assert "apprise.plugins.custom_json" in sys.modules
    """)
    assert (tmp_path / "arguments").read_text() == "-m alerts.delivery.plugins\n"
