"""The names of model and workspace, as people see them over HTTP; a name that cannot be read is in no one's way."""

from tests.e2e.test_check import check
from tests.e2e.world import LONG, World


def test_names_stand_beside_the_ids(world: World) -> None:
    """In status, list, queue and check, in the sentence of a failure, and while the refresh goes on."""
    model = world.model(name="Sales \u202e2026", seconds=LONG, outcome="Failed")
    uri = world.start(model).json()["statusUri"]
    status = world.until(uri, lambda told: told["status"] == "Refreshing")
    (row,) = world.listing(datasetId=model).json()["refreshes"]
    queue = world.queue(model).json()
    for shown in (status, row, queue, check(world, model).json()):
        assert shown["modelName"] == "Sales 2026"
        assert shown["workspaceName"].startswith("Workspace ")
    world.end(model)
    ended = world.follow(uri).body
    assert ended["modelName"] == "Sales 2026"
    assert ended["error"]["message"].startswith(f"Semantic model Sales 2026 in workspace {ended['workspaceName']}: ")
