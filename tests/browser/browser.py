"""A headless Chromium for tests and screenshots, and the page in it.

Playwright's own build of Chromium is not in a package registry, so the tests use a Chromium of the machine (`python -m
tests.browser.install` installs that of Debian, if possible).
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
# without the sandbox, which root cannot use, and without /dev/shm, which is small in containers
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--font-render-hinting=none"]
WAIT_MILLISECONDS = 20_000
"""The limit of a wait on a loaded machine. It makes no test longer."""
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


expect.set_options(timeout=WAIT_MILLISECONDS)


def executable() -> str | None:
    """The path of a Chromium: that in the variable CHROMIUM, or one of this machine. None if there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser that runs during the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


COUNT_CALLS = """() => {
    const send = window.fetch;
    window.calls = [];
    window.fetch = (address, ...more) => { window.calls.push(String(address)); return send(address, ...more); };
}"""


def count_calls(page: Page) -> None:
    """Counts the calls of the page from now on. The page itself counts, so a call counts before the server gets it."""
    page.evaluate(COUNT_CALLS)


def calls_of(page: Page) -> list[str]:
    """The addresses that the page has called since `count_calls`."""
    addresses: list[str] = page.evaluate("window.calls")
    return addresses


class Visitor:
    """A user of the page, with a browser session of its own. `problems`: the errors of the page so far."""

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
        """Loads the page at this place, and waits until it shows a heading."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.base}/api/ui{place}")
        self.page.wait_for_selector("main:not([aria-busy]) h1")
        return self.page

    def go(self, place: str, heading: str) -> Page:
        """Goes to this place without loading the page again, and waits for its heading."""
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

    def axe_problems(self) -> list[str]:
        """The accessibility problems that axe finds on the page: rule, severity and element."""
        if not self.page.evaluate("typeof axe !== 'undefined'"):
            self.page.evaluate(AXE.read_text("utf-8") + ";0")
        found = self.page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        return [f"{one['id']} ({one['impact']}): {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return width

    def close(self) -> None:
        """Ends the session. Fails if the page had errors."""
        self.context.close()
        assert self.problems == []

    def _message(self, message: ConsoleMessage) -> None:
        # without the messages that the browser itself logs for answers that are not a success
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.problems.append(f"{message.type}: {message.text}")
