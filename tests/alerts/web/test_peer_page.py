"""The page of one peer: its facts, and the page of a real alert loop."""

import json
from collections.abc import Callable
from urllib.parse import quote

from alerts.restart_record import Record
from alerts.scraping.page import parse
from alerts.web.page.peer_view import read_facts
from alerts.web.peer_page import GRAFANA_BOARD
from alerts.web.window import address_of
from tests.alerts.conftest import ROOT, AlertLoop, Sidecar, sidecar_page
from tests.alerts.web.page.gallery import fill_history
from tests.fakes import wait_for

NASTY = "<i>a/b?c#d</i>"


def test_the_link_to_grafana_is_that_of_its_dashboard():
    board = json.loads((ROOT / "grafana/dashboards/peer.json").read_text())
    assert board["uid"] == GRAFANA_BOARD


def test_facts_are_what_the_sidecar_tells_and_nothing_else():
    text = sidecar_page(1000.0, started=940.0).replace('device="cpu"', 'device="cpu",later="9"')
    page = parse(f'{text}trainer_settings_info{{task="gsm8k",beta="0",lora="",torch="2.9.0",new="x"}} 1\n')
    facts = {fact.name: fact.value for fact in read_facts(page, Record(past=(1.0, 2.0)), 1000.0)}
    assert facts == {
        "model": "tiny",
        "device": "cpu",
        "later": "9",
        "task": "gsm8k",
        "beta": "0",
        "torch": "2.9.0",
        "new": "x",
        "nickname": "quick amber fox",
        "peer_id": "QmA",
        "steps": 12.0,
        "last_step": 999.0,
        "uptime": 60.0,
        "restarts_today": 2,
        "sidecar_version": "0",
    }
    ended = parse(sidecar_page(1000.0, up=0) + "trainer_exit_code 137\n")
    assert {"exit_code": 137.0}.items() <= {one.name: one.value for one in read_facts(ended, None, 1000.0)}.items()
    assert read_facts(None, None, 1000.0) == []


def test_a_peer_has_a_page_with_charts_alerts_log_and_facts(
    make_loop: Callable[..., AlertLoop], sidecar: Sidecar
) -> None:
    sidecar.serve(footprint=2**33, nickname="<b>nick")
    loop = make_loop({NASTY: sidecar, "b": sidecar}, grafana_url="http://127.0.0.1:3000/")
    run_dir = loop.folder / "run"
    run_dir.mkdir()
    (run_dir / "trainer.log").write_text("epoch 1\n<b>loss</b> api_key=0123456789abcdef\n")
    loop.settings["targets"][0]["run_dir"] = str(run_dir)
    fill_history(loop.folder / "state", [NASTY, "b"], hours=2, every=60)
    loop.start()
    wait_for(loop.firing, 20, "MemoryExceeded")
    address = address_of(NASTY)
    assert f'href="{address}"' in loop.get("/").text
    answer = loop.get(f"{address}?span=1h&compare=b")
    page = answer.text
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none';")
    assert NASTY not in page
    assert not any(markup in page for markup in ("<i>", "<b>", " style=", "0123456789abcdef"))
    assert "&lt;b&gt;loss&lt;/b&gt; api_key=***" in page
    for name in ("step_time", "memory", "rank", "reward", "entropy", "processor"):
        assert f'id="chart-{name}"' in page
    assert page.count('class="stroke-other"') >= 5
    assert "What to do: " in page
    assert "&lt;b&gt;nick" in page
    assert f"http://127.0.0.1:3000/d/peerwatch-peer?var-peer={quote(NASTY, safe='')}&amp;from=" in page
    assert len(answer.content) < 150_000
    assert loop.get("/peers/b?span=30d").status_code == 200
    earlier = loop.get("/peers/b?span=30m&compare=-1h").text
    assert earlier.count('class="stroke-other"') >= 5
    assert "1 h earlier" in earlier
    assert loop.get("/peers/none").status_code == 404
    assert loop.get("/peers/b?span=ages").text.startswith("span: not a duration")
    assert loop.get("/peers/b", headers={"Host": "evil.example"}).status_code == 421
    assert "Traceback" not in loop.output()
