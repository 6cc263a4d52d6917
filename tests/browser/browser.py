"""A headless Chromium for tests and screenshots, and the page in it.

Chromium comes from the machine (`python -m tests.browser.install` installs Debian's, where that is possible), because
Playwright's own build is in no package registry.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

NAMES = (
    "chromium-headless-shell",  # takes half the processor time of a browser with a user interface
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
)
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
# as root there is no sandbox for the browser; containers have a small /dev/shm
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--font-render-hinting=none"]
WAIT_MILLISECONDS = 20_000
"""On a machine that does much else; nothing ends later because of it."""
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


expect.set_options(timeout=WAIT_MILLISECONDS)


def executable() -> str | None:
    """The path of a Chromium on this machine; CHROMIUM names another one. None if there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browsing() -> Iterator[Browser]:
    """The browser, for as long as the block runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """One person with the page: a session of the browser of its own. `problems`: what the page did wrong so far."""

    def __init__(self, browser: Browser, base: str, **options: Any) -> None:
        settings = {"viewport": WIDE, "timezone_id": "UTC", "locale": "en-GB", "reduced_motion": "reduce", **options}
        self.context: BrowserContext = browser.new_context(**settings)
        self.context.set_default_timeout(WAIT_MILLISECONDS)
        self.base = base
        self.problems: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("console", self._message)

    def open(self, place: str = "#/") -> Page:
        """Loads the page at this place, and waits until something is shown."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.base}/api/ui{place}")
        self.page.wait_for_selector("main:not([aria-busy]) h1")
        return self.page

    def go(self, place: str, heading: str) -> Page:
        """Follows a link to this place, without a load, until its heading is shown."""
        self.page.evaluate("place => { location.hash = place }", place)
        self.heading(heading)
        return self.page

    def heading(self, text: str) -> None:
        """Waits for a heading with this text."""
        self.page.wait_for_function(
            "text => !document.querySelector('main[aria-busy]')"
            " && document.querySelector('main h1')?.textContent.includes(text)",
            arg=text,
        )

    def barriers(self) -> list[str]:
        """What axe finds on what is shown now: rule, how serious, where."""
        if not self.page.evaluate("typeof axe !== 'undefined'"):
            self.page.evaluate(AXE.read_text("utf-8") + ";0")
        found = self.page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        return [f"{one['id']} ({one['impact']}): {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return width

    def close(self) -> None:
        """Ends the session; fails with what the page did wrong."""
        self.context.close()
        assert self.problems == []

    def _message(self, message: ConsoleMessage) -> None:
        # the browser itself reports each answer that is not a success
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.problems.append(f"{message.type}: {message.text}")
