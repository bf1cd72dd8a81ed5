"""The status page in a real browser, fed by a real alert loop."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.alerts.conftest import AlertLoop
from tests.alerts.web.page.gallery import NAMES, Board, make_peer, peer_page
from tests.browser import DESK, PHONE, open_browser, open_page
from tests.certificates import write_certificate
from tests.fakes import reserve_ports, wait_for

MakeLoop = Callable[..., AlertLoop]
NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


class Watched:
    """An alert loop over peers whose pages a test changes, and a board."""

    def __init__(self, make_loop: MakeLoop, wait_for_status: bool = True, **settings: Any) -> None:
        self.peers = {name: make_peer(index) for index, name in enumerate(NAMES)}
        self.board = Board()
        self.loop = make_loop(self.peers, leaderboard_url=self.board.url, **settings)
        self.loop.start()
        if wait_for_status:
            wait_for(lambda: self.loop.get("/api/status").json()["now"], 20, "a first evaluation")

    def serve(self, name: str, **changes: Any) -> None:
        self.peers[name].page = lambda: peer_page(NAMES.index(name), **changes)

    def close(self) -> None:
        for peer in self.peers.values():
            peer.close()
        self.board.close()


@pytest.fixture
def watch(make_loop: MakeLoop) -> Iterator[Callable[..., Watched]]:
    watched: list[Watched] = []

    def make(**settings: Any) -> Watched:
        watched.append(Watched(make_loop, **settings))
        return watched[-1]

    yield make
    for one in watched:
        one.close()


def _row(page: Page, name: str) -> Any:
    return page.locator(".peers").get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def _alert(page: Page, title: str) -> Any:
    return page.get_by_role("article", name=title)


def _stay(page: Page) -> None:
    """Marks the page, so that `_has_stayed` notices a reload."""
    page.evaluate("window.hasStayed = true")


def _has_stayed(page: Page) -> bool:
    return bool(page.evaluate("window.hasStayed === true"))


def test_a_peer_that_goes_down_turns_red_without_a_reload(browser: Browser, watch: Callable[..., Watched]) -> None:
    watched = watch(rules={"PeerDown": {"for": "0s", "recover_after": "0s"}})
    with open_page(browser, watched.loop.address) as page:
        expect(page.locator("#link")).to_have_text("live")
        expect(_row(page, "dune")).to_contain_text("training")
        expect(page.locator("#board")).to_contain_text("dune ours")
        expect(page.locator("#summary")).to_contain_text("No alerts firing")
        _stay(page)
        quiet = _row(page, "dune").evaluate("row => getComputedStyle(row).backgroundColor")
        watched.serve("dune", up=0, state=None)
        expect(_row(page, "dune")).to_contain_text("down")
        expect(_row(page, "dune").locator(".mark")).to_have_text("PeerDown")
        assert _row(page, "dune").evaluate("row => getComputedStyle(row).backgroundColor") != quiet
        expect(page.locator("#summary")).to_contain_text("1 alert firing")
        expect(page).to_have_title("(1) test · Peerwatch")
        watched.serve("dune")
        expect(_row(page, "dune")).to_contain_text("training")
        expect(page.locator("#events")).to_contain_text("Resolved: PeerDown: dune")
        assert _has_stayed(page)


def test_alerts_are_acknowledged_and_silenced_by_keyboard_and_the_focus_stays(
    browser: Browser, watch: Callable[..., Watched]
) -> None:
    watched = watch()
    watched.serve("cedar", footprint=2**33)
    watched.serve("ember", footprint=2**33)
    with open_page(browser, watched.loop.address) as page:
        _stay(page)
        cedar = _alert(page, "MemoryExceeded: cedar")
        expect(_alert(page, "MemoryExceeded: ember")).to_be_visible()
        acknowledge = cedar.get_by_role("button", name="Acknowledge")
        acknowledge.focus()
        summaries = page.evaluate(
            "window.changes = 0; new MutationObserver(() => window.changes++)"
            ".observe(document.getElementById('summary'), {childList: true, subtree: true, characterData: true})"
        )
        assert summaries is None
        page.wait_for_timeout(1000)
        expect(acknowledge).to_be_focused()
        assert page.evaluate("window.changes") == 0, "a live region that changes without need chatters"
        page.keyboard.press("Enter")
        expect(cedar).to_contain_text("acknowledged")
        expect(cedar).to_be_focused()
        expect(acknowledge).to_have_count(0)
        ember = _alert(page, "MemoryExceeded: ember")
        ember.get_by_role("combobox").select_option("4 h")
        page.wait_for_timeout(500)
        ember.get_by_role("button", name="Silence").click()
        expect(ember).to_contain_text("silenced")
        expect(page.locator("#silences")).to_contain_text("MemoryExceeded: ember")
        (silence,) = watched.loop.get("/api/alerts").json()["silences"]
        assert silence["ends_at"] > watched.loop.get("/api/status").json()["now"] + 3 * 3600
        page.locator("#silences").get_by_role("button", name="End").click()
        expect(page.locator("#silences")).to_contain_text("No active silences.")
        expect(ember).not_to_contain_text("silenced")
        assert _has_stayed(page)


def test_markup_in_a_nickname_stays_text(browser: Browser, watch: Callable[..., Watched]) -> None:
    watched = watch()
    with open_page(browser, watched.loop.address) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        watched.serve("amber", nickname=NASTY, footprint=2**33)
        leaders = watched.board.content.decode().replace("stranger 0", NASTY)
        watched.board.content = leaders.encode()
        expect(_row(page, "amber")).to_contain_text(NASTY)
        expect(_alert(page, "MemoryExceeded: amber")).to_be_visible()
        page.reload()
        expect(_row(page, "amber")).to_contain_text(NASTY)
        assert page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_a_phone_needs_no_scrolling_sideways(
    browser: Browser, watch: Callable[..., Watched], scheme: str
) -> None:
    watched = watch(rules={"PeerDown": {"for": "0s"}, "PeerStalled": {"severity": "warning"}})
    watched.serve("dune", up=0, state=None)
    watched.serve("amber", nickname="x" * 128, footprint=2**33)
    watched.serve("cedar", last_step=1.0)
    for size in (DESK, PHONE):
        with open_page(browser, watched.loop.address, size, scheme) as page:
            expect(page.get_by_role("article")).to_have_count(3)
            _alert(page, "PeerDown: dune").get_by_role("button", name="Silence").click()
            expect(page.locator("#silences")).to_contain_text("PeerDown")
            page.locator("details").first.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
            violations = Axe().run(page).response["violations"]
            grave = [one for one in violations if one["impact"] in ("serious", "critical")]
            assert not grave, [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in grave]
            page.locator("#silences").get_by_role("button", name="End").click()
            expect(page.locator("#silences")).to_contain_text("No active silences.")


def test_a_lost_connection_is_shown_and_the_page_continues_when_the_loop_is_back(
    browser: Browser, watch: Callable[..., Watched]
) -> None:
    (port,) = reserve_ports(1)
    watched = watch(listen=f"127.0.0.1:{port}")
    watched.serve("ember", footprint=2**33)
    with open_page(browser, watched.loop.address) as page:
        expect(page.locator("#link")).to_have_text("live")
        _stay(page)
        watched.loop.kill()
        expect(page.locator("#lost")).to_contain_text("Connection lost")
        assert page.locator("main").evaluate("main => getComputedStyle(main).opacity") != "1"
        watched.loop.start()
        expect(page.locator("#link")).to_have_text("live")
        expect(page.locator("#lost")).to_be_empty()
        _alert(page, "MemoryExceeded: ember").get_by_role("button", name="Acknowledge").click()
        expect(_alert(page, "MemoryExceeded: ember")).to_contain_text("acknowledged")
        expect(page.locator("#said")).to_be_empty()
        assert _has_stayed(page)


def test_without_scripts_the_page_is_read_only(browser: Browser, watch: Callable[..., Watched]) -> None:
    watched = watch(language="zh-CN")
    watched.serve("ember", footprint=2**33)
    wait_for(watched.loop.firing, 10, "MemoryExceeded")
    with open_page(browser, watched.loop.address, java_script_enabled=False) as page:
        expect(page.get_by_role("heading", name="节点")).to_be_visible()
        expect(_row(page, "amber")).to_contain_text("训练中")
        expect(_alert(page, "MemoryExceeded：ember")).to_be_visible()
        expect(page.get_by_role("button")).to_have_count(0)
        expect(page.locator("noscript p")).to_contain_text("JavaScript")


def test_a_page_behind_a_login_and_tls_is_live_and_its_buttons_work(
    browser: Browser, watch: Callable[..., Watched], tmp_path: Path
) -> None:
    certificate, key = write_certificate(tmp_path)
    login = {"user": "op", "password": "open sesame"}
    watched = watch(login=login, tls={"certificate": str(certificate), "key": str(key)}, wait_for_status=False)
    watched.serve("ember", footprint=2**33)
    credentials = {"username": "op", "password": "open sesame"}
    with open_page(browser, watched.loop.address, ignore_https_errors=True, http_credentials=credentials) as page:
        expect(page.locator("#link")).to_have_text("live")
        ember = _alert(page, "MemoryExceeded: ember")
        ember.get_by_role("button", name="Acknowledge").click()
        expect(ember).to_contain_text("acknowledged")


def test_nothing_is_asked_of_anybody_else(browser: Browser, watch: Callable[..., Watched], tmp_path: Path) -> None:
    watched = watch()
    asked: list[str] = []
    with open_page(browser, "about:blank") as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(watched.loop.address)
        expect(page.locator("#link")).to_have_text("live")
    assert {url.partition("?")[0] for url in asked} >= {
        f"{watched.loop.address}/{name}" for name in ("", "page.css", "page.js", "api/stream")
    }
    assert all(url.startswith(watched.loop.address) for url in asked)
