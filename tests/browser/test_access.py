"""The two kinds of access: a key that the user types in, and the platform's sign-in."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.recorded import model_id
from tests.browser.stand_in import KEY, World
from tests.e2e.platform_sign_in import SESSION

PLACE = f"#/models/{model_id('Sales')}"


def test_with_a_key(world: World, visit: Visit) -> None:
    """The key is kept only in this tab, sent as a header with every call, and never part of an address."""
    world.mode = "key"
    visitor = visit(world.base)
    page = visitor.open(PLACE)
    expect(page.get_by_role("heading", level=1)).to_have_text("Enter a function key")
    assert visitor.axe_problems() == []
    page.get_by_label("Function key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The app does not accept this key.")
    page.get_by_label("Function key").fill(KEY)
    page.get_by_role("button", name="Open").click()
    visitor.heading("Sales")
    assert page.url.endswith(PLACE)
    visitor.go("#/", "Of 13 models")
    page.reload()
    visitor.heading("Of 13 models")
    assert not any(KEY in path for _, path, _ in world.calls)
    assert world.headers[-1]["x-functions-key"] == KEY
    assert "Cookie" not in world.headers[-1]
    assert KEY not in page.evaluate("JSON.stringify(localStorage)") + page.url + page.content()
    with visitor.context.expect_page() as other:
        page.evaluate("open(location.href, '_blank', 'noopener')")
    expect(other.value.get_by_role("heading", level=1)).to_have_text("Enter a function key")
    other.value.close()
    page.get_by_role("button", name="Forget the key").click()
    visitor.heading("Enter a function key")
    assert page.evaluate("sessionStorage.length") == 0


def test_with_sign_in(world: World, visit: Visit) -> None:
    """The user signs in on the platform's page, returns to the same place, and signs out; the page uses no key."""
    world.mode = "entra"
    visitor = visit(world.base)
    page = visitor.open(PLACE)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to see the models")
    assert visitor.axe_problems() == []
    link = page.get_by_role("link", name="Sign in")
    address = link.get_attribute("href") or ""
    assert address.startswith("/.auth/login/aad?post_login_redirect_uri=%2Fapi%2Fui%23%2Fmodels")
    link.click()
    visitor.heading("Sales")
    assert page.url == f"{world.base}/api/ui{PLACE}"
    assert any(cookie["name"] == SESSION for cookie in visitor.context.cookies())
    page.get_by_role("button", name="Check access").click()
    page.get_by_role("dialog").get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text("The app can reach the model")).to_be_visible()
    sent = next(headers for headers, call in zip(world.headers, world.calls, strict=True) if call[0] == "POST")
    assert sent["Sec-Fetch-Site"] == "same-origin"
    assert sent["Origin"] == world.base
    assert "x-functions-key" not in sent
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Sign out").click()
    visitor.heading("Sign in to see the models")
    assert not any(cookie["name"] == SESSION for cookie in visitor.context.cookies())


def test_a_session_that_ends_while_the_page_is_open(world: World, visit: Visit) -> None:
    """When a session ends, the page shows the sign-in with its next read, and stays at the same place."""
    world.mode = "entra"
    visitor = visit(world.base)
    visitor.context.add_cookies([{"name": SESSION, "value": "x", "url": world.base}])
    visitor.page.clock.install()
    page = visitor.open(PLACE)
    visitor.context.clear_cookies()
    page.clock.run_for(4000)
    visitor.heading("Sign in to see the models")
    page.get_by_role("link", name="Sign in").click()
    visitor.heading("Sales")
