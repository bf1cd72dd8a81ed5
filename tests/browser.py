"""A real browser, Debian's chromium without a window, for tests of the status page."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.programs import require

# A machine that is busy with other tests renders late.
expect.set_options(timeout=90_000)

DESK, PHONE = (1280, 900), (375, 812)


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # In a container there is no user for chromium's own sandbox; it sees nothing here but our page.
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(
    browser: Browser, address: str, size: tuple[int, int] = DESK, scheme: str = "light", **options: Any
) -> Iterator[Page]:
    """The page at `address`; raises AssertionError for a script that fails or is refused.

    `options` are those of the browser's context.
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        **options,
    )
    context.set_default_timeout(90_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Security Policy" in message.text else None)
    try:
        page.goto(address)
        yield page
        assert not errors
    finally:
        context.close()
