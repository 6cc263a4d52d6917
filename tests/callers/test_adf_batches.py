"""The shipped pipelines for many models: what they send, and how their runs with the app end."""

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.callers.adf_estate import Factory
from tests.callers.clients.adf_expressions import State, evaluate
from tests.callers.clients.adf_pipeline import FAILED, SUCCEEDED, PipelineRun
from tests.callers.shipped import ADF, ALL_SYNAPSE_PIPELINES, BATCH_PIPELINES, OF_SYNAPSE, pipeline
from tests.e2e.world import WORKSPACE

Json = dict[str, Any]

SENTENCE = """Invoking Web Activity failed with HttpStatusCode - '424', message - '{"error": {"code": """
RUN = {
    "RunId": "run-1",
    "Pipeline": "p",
    "DataFactory": "contoso",
    "TriggeredByPipelineName": "Load all",
    "TriggeredByPipelineRunId": "run-0",
}
FILES = [(ADF, name) for name in BATCH_PIPELINES]
FILES += [(OF_SYNAPSE, name) for name in ALL_SYNAPSE_PIPELINES if name in BATCH_PIPELINES]


def form_of(name: str) -> str:
    """The kind of access for which a file is made."""
    return name.rsplit("-", 1)[-1]


def failed(run: PipelineRun) -> str:
    """The message of the activity that failed."""
    assert run.status == FAILED
    [*_, last] = [line for line in run.history if line.status == FAILED]
    assert last.name == "Refresh"
    assert last.message.startswith(SENTENCE)
    return str(last.message)


def test_each_comes_in_both_forms_and_for_synapse() -> None:
    """Each pipeline has a file for an identity and a file for a key, and both also exist for Synapse."""
    expected = [f"{way}-{form}" for way in ("refresh-batch", "refresh-workspace") for form in ("identity", "key")]
    assert sorted(name for _, name in FILES) == sorted(expected * 2)


@pytest.mark.parametrize("name", BATCH_PIPELINES)
def test_what_is_sent(name: str) -> None:
    """The body has Options, the models, the idempotency key of the run, and the caller. A parameter such as WorkspaceId
    overrides its key in Options."""
    file = pipeline(name)
    [start] = [one for one in file["properties"]["activities"] if one["typeProperties"].get("method") == "POST"]
    models = [{"name": "A", "datasetId": "d", "dependsOn": ['with "quotes"']}]
    given = {"WorkspaceId": "w", "Models": models, "Except": ["T"], "Options": {"maxConcurrent": 3, "workspaceId": "x"}}
    sent = json.loads(evaluate(start["typeProperties"]["body"]["value"], State(given, RUN)))
    of = {"models": models} if name.startswith("refresh-batch") else {"all": True, "except": ["T"]}
    assert sent == {
        "workspaceId": "w",
        **of,
        "maxConcurrent": 3,
        "idempotencyKey": "run-1/Refresh",
        "caller": {"factory": "contoso", "pipeline": "Load all", "runId": "run-0"},
    }
    parameters = file["properties"]["parameters"]
    way = {"Models"} if name.startswith("refresh-batch") else {"Except"}
    access = {"Audience" if name.endswith("identity") else "KeySecretUri"}
    assert set(parameters) == {"BaseUrl", "WorkspaceId", "Options", *way, *access}
    with_default = {"BaseUrl", "Options", *access, *(way & {"Except"})}
    assert {key for key, how in parameters.items() if "defaultValue" in how} == with_default


@pytest.mark.parametrize(("folder", "name"), [entry for entry in FILES if entry[1].startswith("refresh-batch")])
def test_a_list_of_models(factory: Callable[[str], Factory], folder: Path, name: str) -> None:
    """The run succeeds if all models were refreshed, even after a lost answer. Otherwise its message names the
    failures."""
    caller = replace(factory(form_of(name)), folder=folder)
    first, second = caller.world.model(seconds=0.2), caller.world.model(seconds=0.2)
    bad = caller.world.model(outcome="Failed", seconds=0.2)
    models = [{"name": "second", "datasetId": second, "dependsOn": ["first"]}, {"name": "first", "datasetId": first}]
    good = caller.begin(name, "", {"maxConcurrent": 2}, lost=1, Models=models)
    failing = caller.begin(name, "", Models=[{"name": "bad", "datasetId": bad}])
    assert good.wait_for_end().status == SUCCEEDED, good.wait_for_end().history
    one, other = (caller.world.own(model) for model in (first, second))
    assert (len(one), len(other)) == (1, 1)
    assert one[0]["endTime"] <= other[0]["startTime"]
    message = failed(failing.wait_for_end())
    assert '"ModelsNotRefreshed"' in message
    assert "0 of 1 models were refreshed. bad ended as Failed (CredentialsRejected)." in message
    assert len(caller.world.own(bad)) == 1


@pytest.mark.parametrize(("folder", "name"), [entry for entry in FILES if entry[1].startswith("refresh-workspace")])
def test_all_models_of_a_workspace(factory: Callable[[str], Factory], folder: Path, name: str) -> None:
    """All models of the workspace are refreshed, except the excluded ones."""
    caller, workspace = replace(factory(form_of(name)), folder=folder), str(uuid.uuid4())
    ids = {key: caller.world.model(name=key, workspaceId=workspace, seconds=0.2) for key in ("Sales", "Stock", "Test")}
    run = caller.begin(name, "", WorkspaceId=workspace, Except=["Test"]).wait_for_end()
    assert run.status == SUCCEEDED, run.history
    assert {key for key, model in ids.items() if caller.world.own(model)} == {"Sales", "Stock"}
    assert "NoRefreshableModels" in failed(caller.begin(name, "", WorkspaceId=WORKSPACE, Except=[]).wait_for_end())
