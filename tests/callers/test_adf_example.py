"""The example, a parent pipeline that copies data and then refreshes a model, deployed by its template, with the app.

docs/getting-started.md shows runs of it, which are compared with the runs of this test.
"""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from devhost_tests.process import until
from tests.callers.adf_check import linked_service_problems, problems
from tests.callers.adf_estate import AUDIENCE, BRISK, Factory, Line, principal
from tests.callers.adf_models import DATA_FACTORY, SYNAPSE
from tests.callers.clients.adf_expressions import State, evaluate
from tests.callers.clients.adf_http import ActivityFailed
from tests.callers.clients.adf_pipeline import FAILED, SUCCEEDED, PipelineRun, Runner
from tests.callers.clients.pace import Scaled
from tests.callers.servers import token_for
from tests.callers.shipped import ADF, EXAMPLE, OF_SYNAPSE, ROOT, deployed, pipeline, read
from tests.e2e.world import WORKSPACE

Json = dict[str, Any]
Form = Callable[[str], Factory]

CHILD = "refresh-with-web-identity"
RUN = "11111111-2222-3333-4444-555555555555"
STORAGE = "https://contoso.dfs.core.windows.net"
GUIDE = (ROOT / "docs/getting-started.md").read_text("utf-8")


@dataclass
class Estate:
    """The factory after the deployment of the template. `children`: the runs of child pipelines."""

    caller: Factory
    copied: list[Json] = field(default_factory=list)
    children: dict[str, PipelineRun] = field(default_factory=dict)

    def run(self, dataset_id: str, run_id: str = RUN) -> PipelineRun:
        """Runs the parent to its end."""
        made = deployed(EXAMPLE, {"factoryName": "contoso", "baseUrl": self.caller.base, "audience": AUDIENCE})
        pace = Scaled(BRISK)
        runners: dict[str, Runner] = {**self.caller.runners(Line(), pace), "Copy": self._copy}

        def execute(given: Json, policy: Json, timeout: float) -> Json:
            name, child_id = given["pipeline"]["referenceName"], str(uuid.uuid4())
            by = {"TriggeredByPipelineName": EXAMPLE, "TriggeredByPipelineRunId": run_id}
            system = {"RunId": child_id, "Pipeline": name, "DataFactory": "contoso", **by}
            child = PipelineRun(made[f"pipelines/{name}"], given["parameters"], runners, pace, system)
            self.children[child_id] = child
            assert given["waitOnCompletion"] is True
            if child.run().status == FAILED:
                [*_, last] = [line for line in child.history if line.status == FAILED]
                raise ActivityFailed("BadRequest", f"Operation on target {last.name} failed: {last.message}")
            return {"pipelineName": name, "pipelineRunId": child_id}

        runners["ExecutePipeline"] = execute
        values = {"StorageUrl": STORAGE, "WorkspaceId": WORKSPACE, "DatasetId": dataset_id}
        system = {"RunId": run_id, "Pipeline": EXAMPLE, "DataFactory": "contoso"}
        return PipelineRun(made[f"pipelines/{EXAMPLE}"], values, runners, pace, system).run()

    def _copy(self, given: Json, policy: Json, timeout: float) -> Json:
        """Records the arguments of the copy, which the tests cannot run."""
        [source], [target] = given["inputs"], given["outputs"]
        self.copied.append({"from": source["parameters"], "to": target["parameters"]})
        return {"filesRead": 1, "filesWritten": 1}


@pytest.fixture
def estate(factory: Form) -> Estate:
    """A factory with the example, which authenticates with its identity."""
    return Estate(factory("identity"))


def masked(text: str) -> str:
    """The text with the parts masked that differ from run to run."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "GUID", text)
    text = re.sub(r"[0-9a-f]{32}-k?[0-9a-f]{16,}(-\d+-[0-9a-f]+)?(-r\d+)?", "ID", text)
    text = re.sub(r"Model \w{8}", "Sales", re.sub(r"Workspace \w{8}", "Finance", text))
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME", text)


def code_block(heading: str) -> str:
    """The first code block under a heading of the guide."""
    section = GUIDE.split(f"\n### {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(r"```(?:json|text)\n(.*?)```", section, re.S)
    assert found
    return found[1]


def test_a_completed_refresh(estate: Estate) -> None:
    """The data is copied before the refresh starts. The guide shows the output of the Web activity."""
    model = estate.caller.world.model(seconds=1)
    run = estate.run(model)
    assert run.status == SUCCEEDED, run.history
    assert [line.name for line in run.history] == ["Copy files", "Refresh model"]
    folder = {"StorageUrl": STORAGE, "Container": "sales"}
    assert estate.copied == [{"from": {**folder, "Folder": "landing"}, "to": {**folder, "Folder": "curated"}}]
    [child] = estate.children.values()
    [line] = child.history
    assert json.loads(masked(code_block("Green"))) == json.loads(masked(json.dumps(line.output)))
    [request] = estate.caller.requests(model)
    assert request["caller"] == {"factory": "contoso", "pipeline": EXAMPLE, "runId": RUN}


def test_a_failed_refresh(estate: Estate) -> None:
    """The guide shows the error of the parent, with the cause and the remedy."""
    run = estate.run(estate.caller.world.model(outcome="Failed"))
    assert run.status == FAILED
    [_, line] = run.history
    beginning = masked(code_block("Red").removesuffix("...\n"))
    assert len(beginning) > 500
    assert masked(line.message)[: len(beginning)] == beginning
    page = (ROOT / "docs/callers.md").read_text("utf-8")
    found = re.search(r"```text\n@(contains\(activity\('Refresh model'\).*)\n```", page)
    assert found
    state = State(parameters={}, system={}, results={line.name: {"output": {}, "error": {"message": line.message}}})
    assert evaluate(f"@{found[1]}", state) is True
    assert evaluate(f"@{found[1]}".replace("CredentialsRejected", "SourceUnavailable"), state) is False


def test_no_refresh_is_requested_after_a_failed_copy(estate: Estate) -> None:
    """If the copy fails, no refresh is requested."""
    model = estate.caller.world.model()

    def broken(given: Json, policy: Json, timeout: float) -> Json:
        raise ActivityFailed("2200", "The source cannot be read.")

    estate._copy = broken  # type: ignore[method-assign]
    run = estate.run(model)
    assert run.status == FAILED
    assert estate.caller.requests(model) == []


def test_a_cancelled_pipeline_run(factory: Form) -> None:
    """If the pipeline run is cancelled, the request continues. The call in the guide cancels it, and needs only the run
    id of the child pipeline."""
    caller = factory("identity")
    model = caller.world.model(seconds=60)
    going = caller.begin(CHILD, model, {"refresh": {"type": "full"}})
    until(lambda: caller.world.own(model), 30)
    found = re.search(r"call POST /api/refreshes/cancel .*? -d '(.*?)'", GUIDE, re.S)
    assert found
    body = json.loads(found[1].replace("DATASET_ID", model).replace("RUN_ID", going.run_id))
    proof = {"Authorization": f"Bearer {token_for(AUDIENCE)}", **principal()}
    answer = requests.post(f"{caller.base}/api/refreshes/cancel", json=body, headers=proof, timeout=30)
    assert (answer.status_code, answer.json()["cancelling"]) == (202, True), answer.text
    assert going.ended().status == FAILED
    assert caller.requests(model)[0]["status"] == "Cancelled"


@pytest.mark.parametrize(("folder", "metadata"), [(ADF, DATA_FACTORY), (OF_SYNAPSE, SYNAPSE)], ids=["ADF", "Synapse"])
def test_the_files_are_valid(folder: Path, metadata: Any) -> None:
    """The models of Data Factory and Synapse find no error in the files, but they find one that is put into a file."""
    file = pipeline(EXAMPLE, folder)
    assert problems(file, metadata) == []
    dataset, service = read("dataset/ExampleFiles.json"), read("linkedService/ExampleStorage.json")
    assert list(metadata.problems(dataset["properties"], "Dataset", "dataset")) == []
    assert list(metadata.problems(service["properties"], "LinkedService", "service")) == []
    assert linked_service_problems(service) == []
    del file["properties"]["activities"][1]["typeProperties"]["pipeline"]
    dataset["properties"]["typeProperties"]["path"] = "x"
    assert problems(file, metadata)
    assert list(metadata.problems(dataset["properties"], "Dataset", "dataset"))


def test_the_template_deploys_the_files() -> None:
    """With the defaults of its parameters, the template creates the contents of the files."""
    files = {
        f"pipelines/{CHILD}": pipeline(CHILD),
        f"pipelines/{EXAMPLE}": pipeline(EXAMPLE),
        "datasets/ExampleFiles": read("dataset/ExampleFiles.json"),
        "linkedservices/ExampleStorage": read("linkedService/ExampleStorage.json"),
    }
    assert deployed(EXAMPLE) == files
    parameters = read(f"arm/{EXAMPLE}.json")["parameters"]
    assert all(entry["metadata"]["description"] for entry in parameters.values())


def test_the_parent_sets_declared_parameters() -> None:
    """The parent sets only parameters that the child declares; all other parameters have defaults."""
    child, parent = pipeline(CHILD)["properties"]["parameters"], pipeline(EXAMPLE)
    [_, refresh] = parent["properties"]["activities"]
    given = set(refresh["typeProperties"]["parameters"])
    assert given <= set(child)
    assert all("defaultValue" in child[name] for name in set(child) - given)


def test_references_of_the_guide_exist() -> None:
    """The files and the parameters of templates in the guide exist. Its commands run in the root of the clone."""
    assert not re.search(r"@(adf|synapse|logic_apps)/", GUIDE)
    integrations = ROOT / "integrations"
    named = set(re.findall(r"[@ `](?:integrations/)?((?:adf|synapse|logic_apps)/[\w./-]+\.json)", GUIDE))
    named |= {f"adf/{path}" for path in re.findall(r"`((?:pipeline|dataset|linkedService)/[\w-]+\.json)`", GUIDE)}
    assert len(named) >= 6
    assert [path for path in named if not (integrations / path).is_file()] == []
    [loop] = re.findall(r"for name in (.*?); do\n.*?@integrations/synapse/pipeline/\$name\.json", GUIDE)
    assert [name for name in loop.split() if not (OF_SYNAPSE / f"pipeline/{name}.json").is_file()] == []
    deployments = re.findall(r"--template-file integrations/(\S+)[ \\\n]+--parameters (.*)", GUIDE)
    assert len(deployments) == 3
    for path, given in deployments:
        declared = json.loads((integrations / path).read_text("utf-8"))["parameters"]
        names = {part.split("=")[0] for part in given.split()}
        assert names <= set(declared), path
        assert {name for name, entry in declared.items() if "defaultValue" not in entry} <= names, path
