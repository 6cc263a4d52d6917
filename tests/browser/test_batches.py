"""The view of a batch: its graph, its list, its action; large batches, hostile names, and the lines of the picture."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browser import PHONE, WIDE, calls_of, count_calls
from tests.browser.conftest import Visit
from tests.browser.recorded import CREDENTIALS, HOSTILE, ago, model_id
from tests.browser.recorded_batches import LONG_MESSAGE, batch, large, member
from tests.browser.stand_in import World

DRAWING_SECONDS = 5.0
"""The limit for 500 models on a loaded machine. On an idle machine 0.1 to 0.3 s were measured."""
ARRANGE = "async models => (await import(new URL('ui/layers.js', location))).arrange(models)"
DRAW = """async models => {
    const { graph } = await import(new URL('ui/graph.js', location));
    const begin = performance.now();
    const picture = graph(models);
    document.getElementById('main').append(picture);
    picture.getBoundingClientRect();
    return (performance.now() - begin) / 1000;
}"""
ENDS_OF_LINES = """() => {
    const area = document.querySelector('.graph-area').getBoundingClientRect();
    return [...document.querySelectorAll('.layers .node')].map(node => {
        const box = node.getBoundingClientRect();
        const middle = (box.top + box.bottom) / 2 - area.top;
        return [node.querySelector('bdi').textContent, box.left - area.left, box.right - area.left, middle];
    });
}"""


def arranged(page: Page, *models: tuple[str, str]) -> Any:
    """The places of models, each with its name and the names that it depends on."""
    return page.evaluate(ARRANGE, [{"name": name, "dependsOn": before.split()} for name, before in models])


def texts(page: Page, selector: str) -> list[str]:
    """The texts of elements, each in one line."""
    return [" ".join(text.split()) for text in page.locator(selector).all_inner_texts()]


def test_an_ended_batch(world: World, visit: Visit) -> None:
    """The view of a diamond shows its error, each model with its state in words, the reasons, and the earlier batch."""
    visitor = visit(world.base)
    page = visitor.open("#/batches/batch-diamond")
    expect(page).to_have_title("Batch of Load everything · Model refreshes")
    expect(page.get_by_role("heading", level=1)).to_have_text("Batch of Load everything")
    assert texts(page, ".lead") == ["Failed 2 of 4 models completed, 1 did not complete and 1 was skipped."]
    assert page.get_by_role("button", name="Cancel").count() == 0
    assert texts(page, ".facts dt") == ["Accepted", "Ended", "Took"]
    trouble = page.locator(".problem").inner_text()
    assert "First failure: The credentials of the data source" in trouble
    assert "What to do: Correct the causes, then send the batch again" in trouble

    nodes = texts(page, ".layer")
    assert [text.split(",")[0] for text in nodes] == [
        "Customers Completed earlier",
        "Sales Failed",
        "Margin Skipped",
    ]
    assert page.locator(".edge.done, .edge.blocked").count() == 2
    assert page.locator(".layers a.node").count() == 3
    assert page.locator(".node.skipped").evaluate("node => node.nodeName") == "SPAN"
    rows = page.get_by_role("region", name="All models").locator("tbody tr")
    assert [row.split()[0] for row in rows.all_inner_texts()] == ["Sales", "Margin", "Customers", "Returns"]
    assert CREDENTIALS["message"] in rows.nth(0).inner_text()
    assert "Sales, which it depends on, ended as Failed" in rows.nth(1).inner_text()
    assert "Sales, Returns, Customers" in rows.nth(1).inner_text()
    assert "in the earlier batch" in rows.nth(2).inner_text()
    link = page.locator(".layers").get_by_role("link", name="Sales")
    assert link.get_attribute("href") == f"#/requests/request-of-{model_id('Sales')[:8]}"
    page.get_by_role("link", name="batch-evening").click()
    expect(page.locator(".lead .badge")).to_have_text("In progress")


def test_the_states_of_a_batch(world: World, visit: Visit) -> None:
    """The states are: in progress, without models yet, completed with an unnamed caller, and unknown."""
    visitor = visit(world.base)
    page = visitor.open("#/batches/batch-evening")
    lead = "In progress 7 of 16 models completed, 3 are in progress, 3 wait, 1 did not complete and 2 were skipped."
    assert texts(page, ".lead") == [lead]
    assert "Without dependencies: 3 models" in page.inner_text("main")
    requests = page.get_by_role("navigation").get_by_role("link", name="Requests")
    expect(requests).to_have_attribute("aria-current", "true")
    visitor.go("#/batches/batch-listing", "Batch of Load everything")
    assert texts(page, ".lead") == ["Reading the models The app reads the models of the workspace."]
    assert "The last call failed: HTTP 503 <b>from</b> Power BI" in page.inner_text("main")
    assert f"that match no model: Archive, {HOSTILE[0]}" in page.inner_text("main")
    assert page.locator("figure, table").count() == 0
    visitor.go("#/batches/batch-unnamed", "Batch")
    expect(page.locator(".lead")).to_contain_text("1 of 1 model completed.")
    expect(page.locator("figcaption")).to_have_text("No model of this batch depends on another model.")
    visitor.go("#/batches/no%20such", "The app does not know this")
    assert "The batch does not exist" in page.inner_text("main")
    assert ("GET", "/api/batches/no%20such/status", None) in world.calls


def test_axe_finds_no_problem_in_a_batch(world: World, visit: Visit) -> None:
    """axe finds no problem in light and dark, on a wide window and on a phone. Only the picture scrolls sideways."""
    world.batches["batch-compact"] = batch("batch-compact", "Running", large(80, 70, layers=2))
    for scheme, size in (("light", WIDE), ("dark", PHONE)):
        visitor = visit(world.base, color_scheme=scheme, viewport=size)
        page = visitor.open("#/batches/batch-evening")
        for name in ("batch-evening", "batch-diamond", "batch-hostile", "batch-listing", "batch-compact"):
            visitor.go(f"#/batches/{name}", "Batch")
            expect(page.locator(".ids code").first).to_have_text(name)
            assert visitor.overflow() <= 0, (scheme, name)
            assert visitor.axe_problems() == [], (scheme, name)
    visitor.go("#/batches/batch-evening", "Batch of Load everything")
    assert page.locator(".graph-scroll").evaluate("node => node.scrollWidth > node.clientWidth")


def test_hostile_names_of_models(world: World, visit: Visit) -> None:
    """Hostile names are plain text in the graph and in the list. Long names are cut in the graph only."""
    for options in ({}, {"viewport": PHONE}):
        visitor = visit(world.base, **options)
        page = visitor.open("#/batches/batch-hostile")
        names = page.locator(".node bdi").evaluate_all("nodes => nodes.map(node => node.textContent)")
        assert set(HOSTILE) < set(names)
        listed = page.locator("tbody th bdi").evaluate_all("nodes => nodes.map(node => node.textContent)")
        assert sorted(listed) == sorted(names)
        assert page.locator("main img, main script, main b").count() == 0
        assert page.evaluate("document.title").startswith(f"Batch of {HOSTILE[0][:20]}")
        for node in page.locator(".layers .node").all():
            assert node.evaluate("node => node.offsetWidth") == 184
        long = page.locator("tbody th bdi", has_text=HOSTILE[2]).first
        assert long.evaluate("node => node.getBoundingClientRect().height") > 30
        message = page.locator("td.reason details").first
        message.locator("summary").click()
        assert LONG_MESSAGE.strip() in message.inner_text()
        assert visitor.overflow() <= 0


def test_lines_end_at_their_models(world: World, visit: Visit) -> None:
    """Lines end at their models, because batch.css and layers.js use the same sizes."""
    page = visit(world.base).open("#/batches/batch-evening")
    models = world.batches["batch-evening"]["models"]
    lines = page.evaluate(ARRANGE, models)["lines"]
    boxes = {name: (left, right, middle) for name, left, right, middle in page.evaluate(ENDS_OF_LINES)}
    assert len(lines) == sum(len(model.get("dependsOn", [])) for model in models)
    for line in lines:
        source, target = boxes[models[line["from"]]["name"]], boxes[models[line["to"]]["name"]]
        assert (line["x"], line["y"]) == pytest.approx((target[0], target[2]), abs=0.6)
        x, y = line["path"].removeprefix("M").split("C")[0].split()
        assert (float(x), float(y)) == pytest.approx((source[1], source[2]), abs=0.6)


def test_the_layout(world: World, visit: Visit) -> None:
    """The longest path decides the layer; unknown names, repetitions and cycles have no effect; large layers have
    columns."""
    page = visit(world.base).open()
    found = arranged(page, ("d", "b c a"), ("b", "a"), ("c", "b unknown c"), ("a", ""), ("e", ""))
    assert (found["layers"], found["loose"]) == ([[[3]], [[1]], [[2]], [[0]]], [4])
    assert sorted((line["from"], line["to"]) for line in found["lines"]) == [(1, 0), (1, 2), (2, 0), (3, 0), (3, 1)]
    cyclic = arranged(page, ("a", "b b"), ("b", "a"), ("c", "a"))
    assert sorted(number for layer in cyclic["layers"] for column in layer for number in column) == [0, 1, 2]
    crossed = arranged(page, ("a", ""), ("b", ""), ("c", "b"), ("d", "a"))
    assert crossed["layers"] == [[[0, 1]], [[3, 2]]]
    wide = arranged(page, ("a", ""), *((f"m{at}", "a") for at in range(30)))
    assert [[len(column) for column in layer] for layer in wide["layers"]] == [[1], [10, 10, 10]]
    assert arranged(page)["layers"] == arranged(page, ("a", ""))["layers"] == []
    many = arranged(page, *((f"m{at}", " ".join(f"m{before}" for before in range(at))) for at in range(120)))
    assert (len(many["lines"]), many["undrawn"]) == (119, 120 * 119 // 2 - 119)


def test_a_batch_of_five_hundred_models(world: World, visit: Visit) -> None:
    """The batch is drawn quickly; most models are in a compact grid; the list shows fifty at first."""
    visitor = visit(world.base)
    page = visitor.open("#/batches/batch-large")
    assert (page.locator(".layers .node").count(), page.locator(".compact .node").count()) == (200, 300)
    assert page.locator(".rest > summary").inner_text() == "450 more"
    assert page.locator("tbody tr").count() == 500
    assert visitor.overflow() <= 0
    for alone in (500, 300, 0):
        assert page.evaluate(DRAW, large(500, alone)) < DRAWING_SECONDS
    chain = [member("m0"), *(member(f"m{at}", "Waiting", f"m{at - 1}") for at in range(1, 500))]
    assert page.evaluate(DRAW, chain) < DRAWING_SECONDS
    assert visitor.overflow() <= 0


def test_a_batch_keeps_itself_up_to_date(world: World, visit: Visit) -> None:
    """A batch in progress is updated; the focus stays, and screen readers get the change."""
    visitor = visit(world.base)
    visitor.page.clock.install()
    page = visitor.open("#/batches/batch-evening")
    link = page.locator(".layers").get_by_role("link", name="Returns")
    link.focus()
    before = world.batches["batch-evening"]
    done = {"status": "Completed", "endedAt": ago(1)}
    models = [{**row, **done} if row["name"] == "Sales" else row for row in before["models"]]
    world.batches["batch-evening"] = batch("batch-evening", "Running", models)
    page.clock.run_for(6000)
    expect(page.locator(".lead")).to_contain_text("8 of 16 models completed, 2 are in progress")
    expect(page.locator("#news")).to_contain_text("Batch of Load everything: In progress. 8 of 16 models completed")
    expect(page.locator(".layers").get_by_role("link", name="Sales")).to_contain_text("Completed")
    expect(link).to_be_focused()
    world.batches["batch-evening"] = batch("batch-evening", "Cancelled", models)
    page.clock.run_for(6000)
    expect(page.locator(".lead .badge")).to_have_text("Cancelled")
    count_calls(page)
    page.clock.run_for(120_000)
    assert calls_of(page) == []


def test_cancel_a_batch(world: World, visit: Visit) -> None:
    """After the confirmation, the page cancels once."""
    visitor = visit(world.base)
    page = visitor.open("#/batches/batch-evening")
    page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_accessible_name("Cancel this batch?")
    assert "no further model is started" in dialog.inner_text()
    dialog.get_by_role("button", name="Leave it").click()
    assert world.sent() == []
    page.get_by_role("button", name="Cancel").click()
    with page.expect_response("**/batches/batch-evening/status"):
        dialog.get_by_role("button", name="Cancel the batch").click()
    expect(dialog.get_by_text("The app is cancelling the batch.")).to_be_visible()
    assert world.sent() == [("/api/batches/batch-evening/cancel", None)]
    dialog.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Cancel").click()
    world.batches["batch-evening"] = world.batches["batch-diamond"]
    dialog.get_by_role("button", name="Cancel the batch").click()
    expect(dialog.get_by_text("The batch had already ended. Failed")).to_be_visible()


def test_a_request_names_its_batch(world: World, visit: Visit) -> None:
    """The view of a request and the lists link to the batch if the answer has its id; otherwise there is no link."""
    visitor = visit(world.base)
    page = visitor.open("#/requests/live-1")
    assert page.locator('a[href^="#/batches/"]').count() == 0

    def with_batch(route: Any) -> None:
        answer = route.fetch()
        body = answer.json()
        for one in body.get("refreshes", [body]):
            one["batchId"] = "batch-evening"
        route.fulfill(response=answer, json=body)

    page.route("**/api/refreshes**", with_batch)
    visitor.go("#/requests", "Requests")
    link = page.get_by_role("link", name="part of a batch").first
    assert link.get_attribute("href") == "#/batches/batch-evening"
    visitor.go("#/requests/request-run-90", "Request of Load orders")
    page.get_by_role("link", name="The batch that this request is part of").click()
    visitor.heading("Batch of Load everything")


def test_a_batch_with_the_keyboard(world: World, visit: Visit) -> None:
    """The picture can be scrolled. Each box that is a link shows the focus and opens its request."""
    visitor = visit(world.base, viewport=PHONE)
    page = visitor.open("#/batches/batch-evening")
    page.locator(".graph-scroll").focus()
    page.keyboard.press("Tab")
    first = page.locator(".layers a.node").first
    expect(first).to_be_focused()
    assert first.evaluate("node => getComputedStyle(node).outlineStyle") != "none"
    href = first.get_attribute("href") or ""
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{href}")
