"""How the page updates itself, and what it does if the app does not answer. The tests control the page's time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from tests.browser.browser import Visitor, calls_of, count_calls
from tests.browser.conftest import Visit
from tests.browser.recorded import model_id
from tests.browser.stand_in import World

SALES = model_id("Sales")
UNAVAILABLE = {"error": {"code": "EngineUnavailable", "message": "The durable engine does not answer.", "target": None}}


def reads(world: World) -> int:
    """How many times the list of models was read."""
    return sum(path.startswith("/api/models?") for _, path, _ in world.calls)


def stopped(visitor: Visitor) -> Visitor:
    """Stops the clock of the page, so that time passes only with `pass_seconds`.

    The clock can only stop at a time that lies ahead of it, so it begins an hour earlier.
    """
    now = datetime.now(UTC)
    visitor.page.clock.install(time=now - timedelta(hours=1))
    visitor.page.clock.pause_at(now)
    return visitor


def pass_seconds(page: Page, seconds: int) -> None:
    """Lets time pass for the page."""
    page.clock.run_for(seconds * 1000)


def hide(page: Page, hidden: bool) -> None:
    """Hides the page, as if another tab were in front, or shows it again."""
    page.evaluate(
        """hidden => {
            const value = hidden ? "hidden" : "visible";
            Object.defineProperty(document, "visibilityState", { value, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_the_page_keeps_itself_up_to_date(world: World, visit: Visit) -> None:
    """A visible page is updated; the focus stays, and screen readers get each change once."""
    visitor = visit(world.base)
    page = stopped(visitor).open()
    assert reads(world) == 1
    link = page.get_by_role("link", name="Headcount")
    link.focus()
    count_calls(page)
    pass_seconds(page, 4)
    assert calls_of(page) == []
    world.models[1] |= {"health": "ok"}
    pass_seconds(page, 2)
    expect(page.get_by_role("heading", level=1)).to_have_text("Of 13 models, 1 is overdue")
    expect(page.locator("#news")).to_have_text("Of 13 models, 1 is overdue")
    expect(link).to_be_focused()

    hide(page, hidden=True)
    before = calls_of(page)
    assert any("/api/models?" in address for address in before)
    pass_seconds(page, 120)
    assert calls_of(page) == before
    with page.expect_response("**/api/models?*"):
        hide(page, hidden=False)
        pass_seconds(page, 1)


def test_an_app_that_does_not_answer(world: World, visit: Visit) -> None:
    """The old data stay on the page, with a message. The page tries less and less often, and continues when the app
    answers again."""
    visitor = visit(world.base)
    page = stopped(visitor).open()
    world.refusal = (503, UNAVAILABLE)
    pass_seconds(page, 6)
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text("Not up to date")
    expect(trouble).to_contain_text("The durable engine does not answer.")
    expect(trouble).to_contain_text("What to do: If the problem persists, check api/health")
    expect(trouble).to_contain_text("tries again in 5 s")
    expect(page.locator("tbody tr")).to_have_count(13)
    for seconds in (10, 20, 40, 80, 120, 120):
        pass_seconds(page, seconds)
        expect(trouble).to_contain_text(f"tries again in {seconds} s")
    world.refusal = None
    trouble.get_by_role("button", name="Try now").click()
    expect(trouble).to_be_empty()


def test_an_error_at_first(world: World, visit: Visit) -> None:
    """The page shows each error: an answer that is not JSON, a refusal, an unknown model, an app that does not
    answer."""
    visitor = visit(world.base)
    stopped(visitor)
    world.refusal = (502, None)
    page = visitor.open()
    expect(page.get_by_role("heading", level=1)).to_have_text("The app cannot show this now")
    assert "The app answered HTTP 502." in page.inner_text("main")
    world.refusal = (403, {"error": {"code": "CallerNotAllowed", "message": "The principal x is not among those."}})
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("main")).to_contain_text("Ask the operators of the app to give you access.")
    world.refusal = None
    visitor.go("#/models/00000000-0000-4000-8000-000000000000", "The app does not know this")
    assert "The app knows no such model." in page.inner_text("main")
    page.route("**/api/models**", lambda route: route.abort())
    visitor.go("#/", "The app cannot show this now")
    assert "Check your connection to the app" in page.inner_text("main")
    page.unroute("**/api/models**")
    page.get_by_role("button", name="Try now").click()
    visitor.heading("Of 13 models")
    visitor.go("#/models/%E0%A4%A", "The app does not know this")


def test_the_clock_of_the_browser_is_wrong(world: World, visit: Visit) -> None:
    """Durations follow the clock of the app, which is an hour ahead here."""
    visitor = visit(world.base)
    visitor.page.clock.set_fixed_time(datetime.now(UTC) - timedelta(hours=1))
    page = visitor.open("#/requests/live-1")
    # the app sends its time in whole seconds
    expect(page.locator("figcaption")).to_have_text(re.compile(r"^Waited 30 s, refreshing for [78] min; usually "))
