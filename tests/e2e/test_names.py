"""The names of model and workspace over HTTP."""

from tests.e2e.test_check import check
from tests.e2e.world import LONG, World


def test_names_beside_the_ids(world: World) -> None:
    """Status, list, queue and check contain the names, during the refresh and afterwards."""
    model = world.model(name="Sales \u202e2026", seconds=LONG)
    uri = world.start(model).json()["statusUri"]
    status = world.until(uri, lambda body: body["status"] == "Refreshing")
    (row,) = world.listing(datasetId=model).json()["refreshes"]
    queue = world.queue(model).json()
    for answer in (status, row, queue, check(world, model).json()):
        assert answer["modelName"] == "Sales 2026"
        assert answer["workspaceName"].startswith("Workspace ")
    world.end(model)
    assert world.follow(uri).body["modelName"] == "Sales 2026"


def test_a_failure_names_the_model(world: World) -> None:
    """The message begins with the name of the model, so that an email or the output of a pipeline shows it."""
    ended = world.refresh(world.model(name="Sales 2026", outcome="Failed")).body
    assert ended["error"]["message"].startswith(f"Semantic model Sales 2026 in workspace {ended['workspaceName']}: ")
