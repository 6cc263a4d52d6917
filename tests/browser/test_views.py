"""Each view shows its data on the screen, to screen readers and with the keyboard, even if it is empty or very full."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser import recorded
from tests.browser.browser import PHONE, WIDE
from tests.browser.conftest import Visit
from tests.browser.recorded import HOSTILE, model_id
from tests.browser.stand_in import World

STOCK, SALES, ORDERS = (model_id(name) for name in ("Stock and deliveries", "Sales", "Orders of the day"))
KINDS = ("Stock and deliveries", "Headcount", "Sales", "Orders of the day", "Carbon report", HOSTILE[1])
PLACES = {
    "#/": "Of 6 models",
    f"#/models/{STOCK}": "Stock and deliveries",
    f"#/models/{SALES}": "Sales",
    "#/requests/request-run-90": "Request of Load orders",
    "#/requests/live-1": "Request of Load prices",
    "#/requests": "Requests",
}


def row(page: Page, name: str) -> str:
    """The text of the row of a model."""
    return " ".join(page.locator("tr", has_text=name).first.inner_text().split())


def test_axe_finds_no_problem_and_no_view_is_too_wide(world: World, visit: Visit) -> None:
    """In light and dark, on a wide window and on a phone, axe finds no problem, and no view is wider than its
    window."""
    # only one row of each kind, because axe takes time for every element
    world.models = [row for row in world.models if row["modelName"] in KINDS]
    for scheme, size in (("light", WIDE), ("dark", PHONE)):
        visitor = visit(world.base, color_scheme=scheme, viewport=size)
        visitor.open()
        for place, heading in PLACES.items():
            visitor.go(place, heading)
            assert visitor.overflow() <= 0, (scheme, place)
            if scheme == "light" or place in ("#/", f"#/models/{STOCK}"):
                assert visitor.axe_problems() == [], (scheme, place)
        world.refusal = (503, None)
        visitor.page.get_by_label("Status").select_option("Failed")
        expect(visitor.page.locator("#trouble")).to_contain_text("Not up to date")
        assert visitor.axe_problems() == []
        visitor.go("#/", "The app cannot show this now")
        assert visitor.axe_problems() == []
        world.refusal = None


def test_the_fleet(world: World, visit: Visit) -> None:
    """Overdue models come first. Each state has a symbol and a word, and each day a text. Filters are in the
    address."""
    visitor = visit(world.base)
    page = visitor.open()
    expect(page).to_have_title("Models · Model refreshes")
    expect(page.get_by_role("heading", level=1)).to_have_text("Of 13 models, 1 is overdue and 1 is failing")
    assert [name.strip() for name in page.locator("tbody th a").all_inner_texts()][:3] == [
        "Stock and deliveries",
        "Headcount",
        "Sales",
    ]
    assert "Overdue expected every 24 h 30 h ago" in row(page, "Stock and deliveries")
    assert row(page, "Sales").endswith("Refreshing 9 min, 3 requests")
    assert "never" in row(page, "Carbon report")
    days = page.locator("tr", has_text="Stock and deliveries").get_by_role("img")
    assert re.fullmatch(
        r"Last 14 days: 11 days without failure; with failures on \w{3},? \d+ \w+ and \w{3},? \d+ \w+; "
        r"1 day without a run",
        days.get_attribute("aria-label") or "",
    )
    assert days.locator("g").count() == 14
    assert page.locator("tbody tr").count() == page.get_by_role("row").count() - 1 == 13

    page.get_by_role("link", name="Failing").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.url.endswith("#/?state=failing")
    expect(page.get_by_role("link", name="Failing")).to_have_attribute("aria-current", "true")
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(13)

    search = page.get_by_role("searchbox")
    search.fill("supply")
    expect(page.locator("tbody tr")).to_have_count(3)
    assert page.url.endswith("#/?search=supply")
    expect(search).to_be_focused()
    expect(page.locator("#news")).to_have_text("3 models")
    page.get_by_label("Sort by").select_option("name")
    expect(page.locator("tbody th a").first).to_have_text("Carbon report")
    assert page.url.endswith("#/?search=supply&sort=name")
    search.fill("no such model")
    expect(page.get_by_text("No model matches these filters")).to_be_visible()


def test_a_model(world: World, visit: Visit) -> None:
    """The view shows the reason for the state, the queue with the progress, the runs, and the last failure with
    advice."""
    visitor = visit(world.base)
    page = visitor.open(f"#/models/{STOCK}")
    expect(page).to_have_title("Stock and deliveries · Model refreshes")
    assert "A refresh was due 6 h ago" in page.locator(".lead").inner_text()
    wrong = page.get_by_role("region", name="Last failure")
    assert "CredentialsInvalid" in wrong.inner_text()
    assert "What to do: Enter them again in the settings" in wrong.inner_text()
    picture = page.locator(".timeline svg").get_attribute("aria-label") or ""
    assert re.match(r"\d+ runs in the last [^:]+: 4 failed, ", picture), picture
    assert page.get_by_role("region", name="Runs").locator("tbody tr").count() == 15
    assert page.locator("details.rest > summary").first.inner_text() == "3 more"

    visitor.go(f"#/models/{SALES}", "Sales")
    now = page.get_by_role("region", name="Now")
    assert "expected to end in 6 min" in now.inner_text()
    assert now.get_by_role("progressbar", name="All objects").get_attribute("value") == "13"
    assert "9 of 12" in now.inner_text()
    assert "and 2 more tables" in now.inner_text()
    assert now.get_by_role("link", name="Load prices").get_attribute("href") == "#/requests/live-1"
    assert "factory: adf-finance-prod" in now.inner_text()
    assert "Waiting behind it: 1 run" in now.inner_text()
    assert "1.8 × usual" in page.get_by_role("region", name="Runs").inner_text()
    requests = page.get_by_role("region", name="Requests")
    assert "shared" in requests.inner_text()
    requests.get_by_role("link", name="All requests for this model").click()
    visitor.heading("Requests for")

    visitor.go(f"#/models/{ORDERS}", "Orders of the day")
    assert "Waits for an external refresh (Scheduled) that began 12 min ago." in page.inner_text("main")
    visitor.go(f"#/models/{model_id('Open invoices')}", "Open invoices")
    waiting = page.get_by_role("region", name="Now").inner_text()
    assert "capacity group Finance capacity allows no more simultaneous refreshes; 2 runs are ahead." in waiting


def test_a_model_whose_last_run_was_cancelled(world: World, visit: Visit) -> None:
    """A cancelled run is neither a failure nor a success."""
    cancelled = {"status": "Cancelled", "at": recorded.ago(60), "code": "RefreshCancelled", "message": "Cancelled."}
    for model in world.models:
        if model["datasetId"] == STOCK:
            model["lastOutcome"] = cancelled
    page = visit(world.base).open(f"#/models/{STOCK}")
    assert "RefreshCancelled" in page.get_by_role("region", name="Last outcome").inner_text()
    expect(page.get_by_role("region", name="Last failure")).to_have_count(0)


def test_a_view_without_an_answer(world: World, visit: Visit) -> None:
    """The page does not call its own text an answer of the app."""
    visitor = visit(world.base)
    visitor.page.route(re.compile("/api/models"), lambda route: route.abort())
    page = visitor.open()
    visitor.heading("The app cannot show this now")
    expect(page.locator(".problem")).to_contain_text("No answer")
    expect(page.locator(".problem")).to_contain_text("The app did not answer.")


def test_a_request(world: World, visit: Visit) -> None:
    """The view shows the steps, the error, the callers that shared the refresh, and the progress while it runs."""
    visitor = visit(world.base)
    page = visitor.open("#/requests/request-run-90")
    assert "Failed" in page.locator(".lead").inner_text()
    trouble = page.locator(".problem").inner_text()
    assert "CredentialsInvalid" in trouble
    assert f"Table {HOSTILE[0]}" in trouble
    steps = [" ".join(text.split()) for text in page.locator(".steps-taken li").all_inner_texts()]
    assert [re.sub(r" [\d:]{8}$| \d+ \w+, [\d:]{8}$", "", step) for step in steps] == [
        "Accepted",
        "The refresh started",
        "Failed",
    ]
    assert page.get_by_role("button", name="Request again").is_visible()

    visitor.go("#/requests/live-1", "Request of Load prices")
    expect(page.locator(".lead")).to_contain_text("expected to end in 6 min")
    others = page.get_by_role("region", name="Shared with 2 other requests")
    assert "Load orders" in others.inner_text()
    assert others.locator("tbody tr").count() == 2
    assert page.get_by_role("progressbar", name="Sales").is_visible()
    visitor.go("#/requests/no-such", "The app does not know this")
    assert "There is no such request." in page.inner_text("main")


def test_ten_thousand_requests(world: World, visit: Visit) -> None:
    """The requests are shown page by page, in the order of the app; a filter begins at the first page."""
    visitor = visit(world.base)
    page = visitor.open("#/requests")
    expect(page.locator("tbody tr")).to_have_count(50)
    assert page.get_by_role("button", name="Newer").is_disabled()
    page.get_by_role("button", name="Older").click()
    expect(page.get_by_text("Pipeline 50", exact=True)).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(50)
    assert "on page 2" in page.inner_text("main")
    page.get_by_role("button", name="Newer").click()
    expect(page.get_by_text("Pipeline 0", exact=True)).to_be_visible()
    with page.expect_response("**/api/refreshes?status=Failed"):
        page.get_by_label("Status").select_option("Failed")
    page.wait_for_url("**/api/ui#/requests?status=Failed")


def test_five_hundred_models(world: World, visit: Visit) -> None:
    """A hundred models are shown at first. The page can show and search all of them."""
    world.models = recorded.many(500)
    visitor = visit(world.base)
    page = visitor.open()
    expect(page.get_by_role("heading", level=1)).to_have_text("All 500 models are fresh")
    expect(page.locator("tbody tr")).to_have_count(100)
    page.get_by_role("link", name="Show more").click()
    expect(page.locator("tbody tr")).to_have_count(200)
    visitor.page.evaluate("location.hash = '#/?show=500'")
    expect(page.locator("tbody tr")).to_have_count(500)
    page.get_by_role("searchbox").fill("Model 499")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_names_are_text(world: World, visit: Visit) -> None:
    """Markup in a name is shown and not run. Direction marks have no effect outside a name. Long names do not widen the
    page."""
    for options in ({}, {"viewport": PHONE}):
        visitor = visit(world.base, **options)
        page = visitor.open()
        for name in HOSTILE:
            link = page.locator(f'a[href="#/models/{model_id(name)}"]')
            assert link.locator("bdi").evaluate("node => node.textContent") == name
        assert page.locator("main img, main script, main iframe").count() == 0
        assert page.locator("main bdi").first.evaluate("node => getComputedStyle(node).unicodeBidi") == "isolate"
        for name in HOSTILE:
            visitor.go(f"#/models/{model_id(name)}", name[:40])
            assert visitor.overflow() <= 0, name
            assert page.evaluate("document.title") != "broken in"
        assert page.locator("main img, main script").count() == 0


def test_an_app_without_models(world: World, visit: Visit) -> None:
    """The page says how to make the first request, and offers to make it."""
    world.models = []
    visitor = visit(world.base)
    page = visitor.open()
    expect(page.get_by_role("heading", level=1)).to_have_text("No model has been refreshed yet")
    assert f'curl -X POST "{world.base}/api/refreshes"' in page.inner_text("pre")
    assert visitor.axe_problems() == []
    page.get_by_role("button", name="Make the first request here").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Workspace id").fill(recorded.WORKSPACES["Finance"])
    dialog.get_by_label("Model id").fill("not an id")
    dialog.get_by_role("button", name="Send the request").click()
    assert world.sent() == []
    dialog.get_by_label("Model id").fill(SALES)
    dialog.get_by_role("button", name="Send the request").click()
    expect(dialog.get_by_text("The app accepted the request")).to_be_visible()
    ((path, body),) = world.sent()
    assert path == "/api/refreshes"
    assert body is not None
    assert (body["workspaceId"], body["datasetId"]) == (recorded.WORKSPACES["Finance"], SALES)


def test_with_the_keyboard_alone(world: World, visit: Visit) -> None:
    """The first tab stop skips to the content, an opened view has the focus, and every tab stop is visible."""
    visitor = visit(world.base)
    page = visitor.open()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    link = page.get_by_role("link", name="Stock and deliveries")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if link.evaluate("node => node === document.activeElement"):
            break
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    visitor.heading("Stock and deliveries")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_role("navigation").get_by_role("link", name="Models")).to_have_attribute("aria-current", "true")
