"""The actions of users: each asks for confirmation, calls the app once, and shows its answer."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser import recorded
from tests.browser.conftest import Visit
from tests.browser.recorded import CREDENTIALS, HOSTILE, WORKSPACES, model_id
from tests.browser.stand_in import KEY, World

SALES = model_id("Sales")
FULL = {"error": {"code": "QueueFull", "message": f"Too many requests wait: {HOSTILE[0]}", "target": None}}


def test_ask_for_a_refresh(world: World, visit: Visit) -> None:
    """Nothing is sent before the confirmation; after it, one request is sent, no matter how often the user clicks."""
    visitor = visit(world.base)
    page = visitor.open(f"#/models/{SALES}")
    button = page.get_by_role("button", name="Request a refresh")
    button.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_accessible_name("Request a refresh?")
    assert visitor.axe_problems() == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    assert world.sent() == []

    button.click()
    world.refusal = (429, FULL)
    dialog.get_by_role("button", name="Send the request").click()
    expect(dialog.locator(".problem")).to_contain_text(f"Too many requests wait: {HOSTILE[0]}")
    expect(dialog.locator(".problem")).to_contain_text("What to do: Try again in a minute.")
    assert visitor.axe_problems() == []
    world.refusal = None
    dialog.get_by_label("Enhanced").check()
    dialog.get_by_role("button", name="Send the request").dblclick()
    expect(dialog.get_by_text("The app accepted the request")).to_be_visible()
    expect(dialog.locator(".result")).to_be_focused()
    assert "secret.example" not in page.content()
    first, second = (body for path, body in world.sent() if path == "/api/refreshes")
    assert first is not None
    assert second == {**first, "refresh": {"type": "full"}}
    assert (first["datasetId"], first["workspaceId"]) == (SALES, WORKSPACES["Finance"])
    assert len(first["idempotencyKey"]) > 30
    dialog.get_by_role("link", name="Follow the request").click()
    visitor.heading("Request of Load orders")
    expect(dialog).to_have_count(0)


def test_cancel(world: World, visit: Visit) -> None:
    """A caller in the queue and a request can be cancelled. The question says what that does to other requests."""
    visitor = visit(world.base)
    page = visitor.open(f"#/models/{SALES}")
    page.get_by_role("row", name="Load prices").get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_accessible_name("Cancel this request?")
    assert "The request of Load prices ends as cancelled" in dialog.inner_text()
    assert "continues if other requests share it" in dialog.inner_text()
    dialog.get_by_role("button", name="Leave it").click()
    assert world.sent() == []
    visitor.go("#/requests/live-0", "Request of Load orders")
    page.get_by_role("button", name="Cancel").click()
    with page.expect_response("**/refreshes/live-0/cancel"), page.expect_response("**/refreshes/live-0/status"):
        # the page reads the view again as soon as it has the answer of the app
        dialog.get_by_role("button", name="Cancel the request").click()
    expect(dialog.get_by_text("The app is cancelling the request")).to_be_visible()
    assert world.sent() == [("/api/refreshes/live-0/cancel", None)]
    dialog.get_by_role("button", name="Close").click()


def test_check(world: World, visit: Visit) -> None:
    """A check shows success, or the problem and what to do about it."""
    visitor = visit(world.base)
    page = visitor.open(f"#/models/{SALES}")
    page.get_by_role("button", name="Check access").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_accessible_name("Check access?")
    dialog.get_by_role("button", name="Check", exact=True).click()
    expect(dialog.get_by_text("The app can reach the model")).to_be_visible()
    ended = world.check["lastRefresh"]["endedAt"]
    expect(dialog.get_by_text("The newest refresh in Power BI: Completed, ended ")).to_contain_text(ended[11:16])
    expect(dialog.locator("time")).to_have_attribute("datetime", ended)
    dialog.get_by_role("button", name="Close").click()
    world.check = {"ok": False, "error": {**CREDENTIALS, "message": HOSTILE[0]}}
    page.get_by_role("button", name="Check access").click()
    dialog.get_by_role("button", name="Check", exact=True).click()
    expect(dialog.locator(".problem")).to_contain_text("A refresh would fail")
    expect(dialog.locator(".problem")).to_contain_text(HOSTILE[0])
    expect(dialog.locator(".problem")).to_contain_text(CREDENTIALS["action"])
    assert [path for path, _ in world.sent()] == ["/api/check", "/api/check"]


def test_check_of_a_busy_model(world: World, visit: Visit) -> None:
    """The check shows for how long the refresh in progress has been running."""
    world.check = recorded.finding(busy=True)
    page = visit(world.base).open(f"#/models/{SALES}")
    page.get_by_role("button", name="Check access").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Check", exact=True).click()
    expect(dialog.get_by_text("A refresh has been running for 12 min.")).to_be_visible()
    expect(dialog.get_by_text("The newest refresh in Power BI: Unknown.")).to_be_visible()


def test_an_action_without_an_answer(world: World, visit: Visit) -> None:
    """The page says that the app did not answer, which is not a refusal."""
    page = visit(world.base).open(f"#/models/{SALES}")
    page.route("**/api/check", lambda route: route.abort())
    page.get_by_role("button", name="Check access").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Check", exact=True).click()
    expect(dialog.locator(".problem")).to_contain_text("No answer")
    expect(dialog.locator(".problem")).to_contain_text("Check your connection to the app")
    expect(dialog.locator(".problem")).not_to_contain_text("refused")


def test_an_action_with_a_revoked_key(world: World, visit: Visit) -> None:
    """There is no sign-in with a function key, so the advice is to enter a valid key."""
    world.mode = "key"
    page = visit(world.base).open(f"#/models/{SALES}")
    page.get_by_label("Function key").fill(KEY)
    page.get_by_role("button", name="Open").click()
    page.get_by_role("button", name="Check access").click()
    world.refusal = (401, None)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Check", exact=True).click()
    expect(dialog.locator(".problem")).to_contain_text("Enter a valid function key.")
    expect(dialog.locator(".problem")).not_to_contain_text("Sign in")
