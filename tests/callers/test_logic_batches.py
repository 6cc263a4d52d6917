"""The shipped workflow for a batch with the app: status and message of its run, and the refreshed models."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.callers.logic_estate import BATCH_FILES, HostedApps, hosted_apps
from tests.e2e.world import WORKSPACE

Json = dict[str, Any]


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedApps]:
    """An app for each kind of access."""
    with hosted_apps(tmp_path_factory.mktemp("logic")) as found:
        yield found


def test_it_comes_in_four_forms() -> None:
    """The workflow for a batch has files for Consumption and Standard, each with an identity and with a key."""
    assert len(BATCH_FILES) == 4


@pytest.mark.parametrize("name", BATCH_FILES)
def test_a_batch(apps: HostedApps, name: str) -> None:
    """The run succeeds if all models were refreshed, even after lost answers. Otherwise it fails with the message of
    the batch."""
    app = apps.of(name)
    good, bad = app.world.model(seconds=0.2), app.world.model(outcome="Failed", seconds=0.2)
    workspace = str(uuid.uuid4())
    sales, test = (app.world.model(name=key, workspaceId=workspace, seconds=0.2) for key in ("Sales", "Test"))
    network = app.network()
    network.broken, network.lost = 1, 1
    models = [{"name": "good", "datasetId": good}]
    workflow = app.workflow(name)
    run = app.run(workflow, body={"workspaceId": WORKSPACE, "models": models}, network=network).to_the_end()
    assert (run.status, run.response and run.response[0]) == ("Succeeded", 200), run.history
    assert run.response is not None
    assert run.response[1]["counts"]["completed"] == len(app.world.own(good)) == 1
    chain = [{"name": "bad", "datasetId": bad}, {"name": "then", "datasetId": good, "dependsOn": ["bad"]}]
    failed = app.run(workflow, body={"workspaceId": WORKSPACE, "models": chain}).to_the_end()
    assert (failed.status, failed.response and failed.response[0]) == ("Failed", 424)
    assert failed.error is not None
    assert str(failed.error["message"]).startswith("0 of 2 models were refreshed. bad ended as Failed (")
    every = {"workspaceId": workspace, "all": True, "except": ["Test"], "maxConcurrent": 2}
    assert app.run(workflow, body=every).to_the_end().status == "Succeeded"
    assert (len(app.world.own(sales)), len(app.world.own(test))) == (1, 0)
