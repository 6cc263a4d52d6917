"""The page of a real app with a Power BI service: once with keys, once with the platform's sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import ROOT, Devhost
from tests.browser.browser import Visitor
from tests.browser.conftest import Visit
from tests.browser.recorded import HOSTILE
from tests.e2e.platform_sign_in import signing_in
from tests.e2e.test_batches import Json, start_batch
from tests.e2e.test_who_may_call import FACTORY, OTHER_FACTORY, SIGN_IN
from tests.e2e.world import CALL_SECONDS, FAST, LONG, WORKSPACE, World

READER = "0a1b2c3d-0000-4000-8000-00000000000e"
FAILURE = {
    "outcome": "Failed",
    "errorCode": "ModelRefreshFailed_CredentialsNotSpecified",
    "errorDescription": "The credentials of the data source 'warehouse.example.com' are missing.",
}


@pytest.fixture(scope="module")
def power_bi() -> Iterator[str]:
    """The address of a Power BI service."""
    with serve(PowerBiService()) as service:
        yield service.base_url


def ask_in_dialog(page: Page, kind: str) -> None:
    """Confirms the question whether to request a refresh."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(kind).check()
    dialog.get_by_role("button", name="Send the request").click()
    expect(dialog.get_by_text("The app accepted the request")).to_be_visible()


def a_batch(world: World, visitor: Visitor) -> None:
    """A batch in progress with a failure. Its models link to their requests. The user cancels it."""
    failing = world.model(seconds=0.2, outcome=FAILURE, name="Prices")
    models: list[Json] = [
        {"name": "Orders", "datasetId": world.model(seconds=LONG, name="Orders")},
        {"name": "Prices", "datasetId": failing},
        {"name": "Margin", "datasetId": world.model(name="Margin"), "dependsOn": ["Orders", "Prices"]},
    ]
    batch = start_batch(world, *models, caller={"pipeline": "Load all"})["id"]
    page = visitor.go(f"#/batches/{batch}", "Batch of Load all")
    expect(page.locator(".node", has_text="Prices")).to_contain_text("Failed")
    expect(page.locator(".node", has_text="Margin")).to_contain_text("Skipped")
    row = page.get_by_role("row", name="Margin")
    expect(row).to_contain_text("Prices, which it depends on, ended as Failed")
    page.locator("a.node", has_text="Orders").click()
    visitor.heading("Request of Load all")
    page.go_back()
    visitor.heading("Batch of Load all")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the batch").click()
    expect(page.get_by_text("The app is cancelling the batch.")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".lead .badge")).to_have_text("Cancelled")
    expect(page.locator(".problem")).to_contain_text("The batch was cancelled: ")
    assert page.locator("a.node", has_text="Orders").inner_text().split()[1].startswith("Cancelled")
    visitor.go("#/batches/batch-unknown", "The app does not know this")


def test_with_keys(power_bi: str, visit: Visit, tmp_path: Path) -> None:
    """The page shows an empty app, then a request that waits, refreshes and is cancelled, and at last a model that
    fails."""
    env = {**FAST, "POWER_BI_API_URL": power_bi}
    with Devhost(ROOT, tmp_path, "--keys", "--exact-timers", env=env) as host:
        world = World(host.base, power_bi, host.host_key())
        sales = world.model(seconds=LONG, name=f"Sales {HOSTILE[0]}")
        world.external(sales)
        visitor = visit(world.app)
        page = visitor.open("#/")
        page.get_by_label("Function key").fill(str(world.key))
        page.keyboard.press("Enter")
        visitor.heading("No model has been refreshed yet")

        page.get_by_role("button", name="Make the first request here").click()
        page.get_by_label("Workspace id").fill(WORKSPACE)
        page.get_by_label("Model id").fill(sales)
        ask_in_dialog(page, "Enhanced")
        page.get_by_role("link", name="Follow the request").click()
        visitor.heading("Request of Status page")
        expect(page.locator(".lead")).to_contain_text("Waits for an external refresh (Scheduled)")
        world.end(sales)
        expect(page.locator(".lead .badge")).to_have_text("Refreshing")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Cancel the request").click()
        expect(page.get_by_text("The app is cancelling the request.")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        expect(page.locator(".lead .badge")).to_have_text("Cancelled")

        stock = world.model(seconds=0.2, outcome=FAILURE, name="Stock")
        assert world.refresh(stock, caller={"pipeline": "Load stock"}).code == 424
        visitor.go(f"#/models/{stock}", "Stock")
        expect(page.locator(".problem")).to_contain_text("warehouse.example.com")
        expect(page.locator(".problem")).to_contain_text("What to do:")
        expect(page.get_by_role("region", name="Requests")).to_contain_text("Load stock")
        page.get_by_role("button", name="Check access").click()
        page.get_by_role("dialog").get_by_role("button", name="Check", exact=True).click()
        expect(page.get_by_text("The app can reach the model")).to_be_visible()
        page.get_by_role("button", name="Close").click()

        visitor.go("#/", "Of 2 models, 1 is failing")
        assert page.locator("tbody th a").first.inner_text() == "Stock"
        expect(page.locator("tbody")).to_contain_text(HOSTILE[0])
        visitor.go("#/requests", "Requests")
        expect(page.locator("tbody tr")).to_have_count(2)
        page.get_by_label("Status").select_option("Failed")
        expect(page.locator("tbody tr")).to_have_count(1)
        assert visitor.overflow() <= 0
        a_batch(world, visitor)


def test_with_sign_in(power_bi: str, visit: Visit, tmp_path: Path) -> None:
    """A caller may read and act, a reader may only read. A page of another site cannot use the session to start a
    refresh."""
    env = {**FAST, **SIGN_IN, "ALLOWED_READERS": READER, "POWER_BI_API_URL": power_bi}
    with Devhost(ROOT, tmp_path, "--keys", "--exact-timers", env=env) as host:
        with signing_in(host.base, {"of-a-caller": FACTORY, "of-another": OTHER_FACTORY}) as front:
            model = World(host.base, power_bi).model(name="Sales")
            body = {"workspaceId": WORKSPACE, "datasetId": model, "waitSeconds": 60}
            headers = {"Authorization": "Bearer of-another"}
            started = requests.post(f"{front}/api/refreshes", json=body, headers=headers, timeout=CALL_SECONDS + 60)
            assert started.status_code == 200
            visitor = visit(front)
            page = visitor.open(f"#/models/{model}")
            expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to see the models")
            page.get_by_role("link", name="Sign in").click()
            visitor.heading("Sales")
            page.get_by_role("button", name="Request a refresh").click()
            ask_in_dialog(page, "Standard")
            page.get_by_role("button", name="Close").click()
            expect(page.get_by_role("region", name="Requests")).to_contain_text("Status page")

            session = "; ".join(f"{one['name']}={one['value']}" for one in visitor.context.cookies())
            for cross_site in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
                answer = requests.post(
                    f"{front}/api/refreshes", json=body, headers={"Cookie": session, **cross_site}, timeout=CALL_SECONDS
                )
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, "CrossSiteCall")
        with signing_in(host.base, {"of-a-reader": READER}) as front:
            visitor = visit(front)
            page = visitor.open(f"#/models/{model}")
            page.get_by_role("link", name="Sign in").click()
            visitor.heading("Sales")
            page.get_by_role("button", name="Request a refresh").click()
            page.get_by_role("dialog").get_by_role("button", name="Send the request").click()
            expect(page.get_by_role("dialog")).to_contain_text("may only read")
            expect(page.get_by_role("dialog")).to_contain_text("Ask the operators of the app to list you")
