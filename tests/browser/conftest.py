"""One Chromium for all, and pages that note whatever a report should not do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route

from tests.chromium import READY, chromium, executable

Open = Callable[..., Page]
PHONE = {"width": 375, "height": 740}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; the tests are skipped where there is none."""
    if executable() is None:
        pytest.skip("no Chromium on the PATH (chromium, chromium-browser, google-chrome)")
    with chromium() as found:
        yield found


def dismiss(dialog: Dialog, odd: list[str]) -> None:
    """Note it, and let the page go on."""
    odd.append(f"dialog: {dialog.message}")
    dialog.dismiss()


@pytest.fixture
def open_report(browser: Browser) -> Iterator[Open]:
    """Opens a file in a context of its own: `open_report(path, fragment, **context)`; `init` runs before its scripts.

    At the end nothing may have left the page or run what came from data; and but
    where `is_tampered`, nothing may have been asked for, logged or raised.
    """
    contexts: list[BrowserContext] = []
    odd: list[str] = []

    def opened(path: Path, fragment: str = "", *, is_tampered: bool = False, init: str = "", **options: Any) -> Page:
        def handle(route: Route) -> None:
            if route.request.url == path.as_uri():
                route.continue_()
            else:
                odd.append(f"left the page: {route.request.url}")
                route.abort()

        context = browser.new_context(**({"viewport": DESK} | options))
        contexts.append(context)
        context.route("**/*", handle)
        page = context.new_page()
        page.add_init_script(init)
        page.on("dialog", lambda dialog: dismiss(dialog, odd))
        if not is_tampered:
            page.on("request", lambda request: odd.append(request.url) if request.url != path.as_uri() else None)
            page.on("console", lambda message: odd.append(f"console: {message.text}"))
            page.on("pageerror", lambda error: odd.append(f"error: {error}"))
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector(READY)
        return page

    yield opened
    for context in contexts:
        assert [page.evaluate("window.pwned ?? null") for page in context.pages] == [None] * len(context.pages)
        context.close()
    assert odd == []
