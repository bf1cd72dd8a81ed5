"""A peer's page and the arranged overview in a real browser, fed by a real alert loop."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from alerts.web.page.arrangement import LEAST_FILTERED
from tests.alerts.conftest import AlertLoop
from tests.alerts.web.page.gallery import fill_history, make_peer
from tests.browser import DESK, PHONE, open_browser, open_page
from tests.fakes import wait_for

NAMES = [f"rig-{index}" for index in range(LEAST_FILTERED)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertLoop]:
    """A loop over eight peers, two with two hours of history, of which the first uses more memory now; one is over
    its limit.
    """
    folder = tmp_path_factory.mktemp("loop")
    footprints: dict[int, dict[str, float | str | None]] = {0: {"footprint": 2**31}, 3: {"footprint": 2**33}}
    peers = {name: make_peer(index, **footprints.get(index, {})) for index, name in enumerate(NAMES)}
    run_dir = folder / "run"
    run_dir.mkdir()
    (run_dir / "trainer.log").write_text("epoch 1\n")
    targets = [{"peer": name, "url": peer.url, "run_dir": str(run_dir)} for name, peer in peers.items()]
    loop = AlertLoop(
        folder,
        {"fleet": "test", "state_dir": str(folder / "state"), "listen": "127.0.0.1:0", "interval": "0.5s"}
        | {"timezone": "Asia/Kathmandu"}
        | {"targets": targets},
    )
    # Closer than the points of a page over two hours: each of them has a value.
    fill_history(folder / "state", NAMES[:2], hours=2, every=24)
    try:
        loop.start()
        wait_for(loop.firing, 20, "MemoryExceeded")
        yield loop
    finally:
        if loop.process is not None:
            loop.stop()
        for peer in peers.values():
            peer.close()


def _shown(page: Page) -> list[str]:
    return page.locator("#rows > tr:not([hidden]) .name").all_inner_texts()


def test_peers_are_sorted_and_filtered_in_place(browser: Browser, watched: AlertLoop) -> None:
    with open_page(browser, watched.address) as page:
        expect(page.locator("#link")).to_have_text("live")
        page.evaluate("window.hasStayed = true")
        page.get_by_role("link", name="Memory", exact=True).click()
        expect(page.locator("#rows > tr").first).to_contain_text("rig-3")
        expect(page.get_by_role("columnheader", name="Memory")).to_have_attribute("aria-sort", "descending")
        page.get_by_role("searchbox", name="Filter").fill("rig-3")
        expect(page.locator("#rows > tr:not([hidden])")).to_have_count(1)
        assert _shown(page) == ["rig-3"]
        assert page.evaluate("window.hasStayed === true")
        page.reload()
        assert _shown(page) == ["rig-3"]
        page.get_by_role("link", name="rig-3").click()
        expect(page.get_by_role("heading", name="rig-3", exact=True)).to_be_visible()


def test_a_moment_is_told_by_pointer_and_keyboard_and_dragging_zooms(browser: Browser, watched: AlertLoop) -> None:
    with open_page(browser, f"{watched.address}/peers/rig-0?span=2h") as page:
        page.evaluate("window.hasStayed = true")
        plot, value = page.locator("#chart-memory .plot"), page.locator("#chart-memory .value").first
        latest = value.inner_text()
        box: Any = plot.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 50)
        expect(value).not_to_have_text(latest)
        expect(page.locator(".cursor")).to_have_count(page.locator(".chart").count())
        page.mouse.move(5, 5)
        expect(value).to_have_text(latest)
        slider = page.get_by_role("slider", name="Moment")
        slider.focus()
        page.keyboard.press("Home")
        expect(slider).to_have_attribute("aria-valuetext", re.compile(r"Rank \d, "))
        first = page.locator("#shown time").first.inner_text()
        assert page.locator("#moment-time").inner_text()[:8] == first[:8], "one zone for all times"
        page.keyboard.press("Escape")
        box = plot.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50, steps=3)
        page.mouse.up()
        expect(page).to_have_url(re.compile(r"span=\d+s&until=\d+"))
        found = re.search(r"span=(\d+)s", page.url)
        assert found
        assert int(found[1]) == pytest.approx(1800, rel=0.2)
        page.locator("#moment").focus()
        page.keyboard.press("-")
        expect(page).not_to_have_url(re.compile(rf"span={found[1]}s"))
        page.get_by_label("Compare with").select_option("rig-1")
        expect(page.locator(".stroke-other").first).to_be_attached()
        assert page.evaluate("window.hasStayed === true")


def test_an_alert_is_acknowledged_on_the_peers_page(browser: Browser, watched: AlertLoop) -> None:
    with open_page(browser, f"{watched.address}/peers/rig-3") as page:
        alert = page.get_by_role("article", name="MemoryExceeded: rig-3")
        expect(alert).to_contain_text("What to do: ")
        alert.get_by_role("button", name="Acknowledge").click()
        expect(alert).to_contain_text("acknowledged")


def test_without_scripts_the_page_shows_charts_tables_and_another_peer(browser: Browser, watched: AlertLoop) -> None:
    with open_page(browser, f"{watched.address}/peers/rig-0", java_script_enabled=False) as page:
        page.get_by_label("Compare with").select_option("rig-1")
        page.get_by_role("button", name="Show").click()
        # A line of one value has no height, which a browser calls hidden: ranks may be such lines.
        expect(page.locator("#chart-rank .stroke-other")).to_be_attached()
        page.locator("#chart-rank summary").click()
        expect(page.locator("#chart-rank table")).to_be_visible()
        expect(page.get_by_role("slider")).to_have_count(0)
        page.goto(f"{watched.address}/?sort=-memory&peers=rig")
        assert _shown(page)[0] == "rig-3"


@pytest.mark.parametrize(
    ("size", "scheme", "path"),
    [(DESK, "light", "/peers/rig-3?compare=rig-0"), (PHONE, "dark", "/peers/rig-3"), (PHONE, "light", "/?sort=rank")],
)
def test_axe_finds_nothing_serious_and_a_phone_needs_no_scrolling_sideways(
    browser: Browser, watched: AlertLoop, size: tuple[int, int], scheme: str, path: str
) -> None:
    with open_page(browser, watched.address + path, size, scheme) as page:
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        violations = Axe().run(page).response["violations"]
        grave = [one for one in violations if one["impact"] in ("serious", "critical")]
        assert not grave, [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in grave]
