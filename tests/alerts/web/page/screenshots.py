"""`make screenshots`: takes the pictures of the status page that the documentation shows."""

import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.alerts.conftest import ROOT, AlertLoop
from tests.alerts.web.page.gallery import NAMES, Board, fill_history, make_peer, peer_page
from tests.browser import DESK, PHONE, open_browser, open_page

DOCS = ROOT / "docs"
PICTURES = {
    "status-page.png": (DESK, "light"),
    "status-page-dark.png": (DESK, "dark"),
    "status-page-phone.png": (PHONE, "light"),
}


def main() -> None:
    began = time.time()
    peers = {name: make_peer(index) for index, name in enumerate(NAMES)}
    peers["cedar"].page = lambda: peer_page(2, began - 900, phase_start=began - 960)
    peers["ember"].page = lambda: peer_page(4, footprint=3.55 * 2**30)
    board = Board()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        fill_history(state, NAMES, hours=24, every=120)
        settings = {
            "fleet": "attic",
            "state_dir": str(state),
            "listen": "127.0.0.1:0",
            "interval": "1s",
            "timeout": "0.5s",
            "timezone": "UTC",
            "leaderboard_url": board.url,
            "targets": [{"peer": name, "url": peer.url} for name, peer in peers.items()],
            "routes": [{"name": "phone", "url": "json://127.0.0.1:9/"}],
            "rules": {"MemoryExceeded": {"for": "0s", "fraction": 0.85, "severity": "warning"}},
        }
        loop = AlertLoop(Path(folder), settings)
        loop.start()
        try:
            take(loop.address)
        finally:
            loop.stop()
            board.close()
            for peer in peers.values():
                peer.close()


def take(address: str) -> None:
    with open_browser() as browser:
        for name, (size, scheme) in PICTURES.items():
            with open_page(browser, address, size, scheme) as page:
                expect(page.locator("#link")).to_have_text("live")
                expect(page.get_by_role("article")).to_have_count(2)
                expect(page.locator(".curve").first).to_be_visible()
                _take(page, name, size)
        with open_page(browser, f"{address}/peers/ember", DESK) as page:
            expect(page.locator("#chart-memory .stroke-line")).to_be_visible()
            _take(page, "peer-page.png", DESK)


def _take(page: Page, name: str, size: tuple[int, int]) -> None:
    page.wait_for_timeout(500)
    height = min(page.evaluate("document.documentElement.scrollHeight"), 1240)
    clip: Any = {"x": 0, "y": 0, "width": size[0], "height": height}
    page.screenshot(path=DOCS / name, full_page=True, clip=clip)
    print(DOCS / name)


if __name__ == "__main__":
    main()
