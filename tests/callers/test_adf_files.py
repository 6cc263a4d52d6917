"""The shipped files match their sources, all formats have the same content, and they send the documented body."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refresh.request.spec import DEFAULT_TIMEOUT_MINUTES
from tests.callers.adf_check import linked_service_problems
from tests.callers.clients.adf_expressions import State, evaluate
from tests.callers.clients.adf_http import seconds_of
from tests.callers.shipped import ADF, ALL_PIPELINES, EXAMPLE, PIPELINES, ROOT, deployed, pipeline, read

Json = dict[str, Any]

SERVICES = sorted(path.stem for path in (ADF / "linkedService").glob("*.json"))
WAITING = {"Refresh", "Refresh, attempt 2", "Refresh, attempt 3", "Refresh, attempt 4", "Until ended"}
RUN = {"RunId": "run-1", "Pipeline": "refresh-with-web-key", "DataFactory": "contoso-factory"}
PARENT = {"TriggeredByPipelineName": "Load sales", "TriggeredByPipelineRunId": "run-0"}
NO_PARENT = dict.fromkeys(PARENT)


def activities(file: Json) -> Iterator[Json]:
    """All activities of a pipeline, including those inside others."""

    def inside(some: list[Json]) -> Iterator[Json]:
        for one in some:
            yield one
            for key in ("activities", "ifTrueActivities", "ifFalseActivities"):
                yield from inside(one["typeProperties"].get(key, []))

    return inside(file["properties"]["activities"])


def starts(name: str) -> list[Json]:
    """The activities of a pipeline that request a refresh."""
    return [one for one in activities(pipeline(name)) if one["typeProperties"].get("method") == "POST"]


def body(start: Json, system: Json, options: Json) -> Json:
    """The body that an activity sends."""
    parameters = {"WorkspaceId": "w", "DatasetId": "d", "Options": options}
    sent: Json = json.loads(evaluate(start["typeProperties"]["body"]["value"], State(parameters, {**RUN, **system})))
    return sent


def test_each_way_has_both_forms() -> None:
    """There are four ways to refresh a model, each with a file for an identity and a file for a key."""
    ways = ("refresh-and-poll", "refresh-with-function", "refresh-with-web", "refresh-with-webhook")
    expected = sorted(f"{way}-{form}" for way in ways for form in ("identity", "key"))
    assert expected == PIPELINES


@pytest.mark.parametrize("name", ALL_PIPELINES)
def test_the_arm_template_deploys_the_same_pipeline(name: str) -> None:
    """With the defaults of its parameters, the template deploys the pipeline file. Each parameter has a description,
    and only parameters are expressions."""
    template, file = read(f"arm/{name}.json"), pipeline(name)
    assert deployed(name) == {f"pipelines/{name}": file}
    service = next((one for one in SERVICES if one in template["parameters"]), None)
    assert (service is not None) == ("function" in name)
    of_the_deployment = {"baseUrl", "audience" if name.endswith("identity") else "keySecretUri"}
    assert set(template["parameters"]) == {"factoryName"} | ({service} if service else of_the_deployment)
    assert all(entry["metadata"]["description"] for entry in template["parameters"].values())


@pytest.mark.parametrize("name", [name for name in PIPELINES if "function" not in name])
def test_the_arm_template_sets_defaults(name: str) -> None:
    """With these defaults, a caller has to give only the ids of its model."""
    file = deployed(name, {"baseUrl": "https://app"})[f"pipelines/{name}"]
    assert file["properties"]["parameters"]["BaseUrl"]["defaultValue"] == "https://app"


@pytest.mark.parametrize("name", ALL_PIPELINES)
def test_the_zip_is_a_template_of_the_gallery(name: str) -> None:
    """The zip contains the template and a manifest that requires exactly the linked service of the pipeline."""
    with zipfile.ZipFile(io.BytesIO((ADF / f"template/{name}.zip").read_bytes())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{name}.json", "manifest.json"]
        template, manifest = (json.loads(archive.read(entry)) for entry in archive.namelist())
    [resource] = template["resources"]
    properties = json.dumps(resource["properties"])
    for service in SERVICES:
        properties = properties.replace(f"[parameters('{service}')]", service)
    assert json.loads(properties) == pipeline(name)["properties"]
    assert all(isinstance(parameter["metadata"], str) for parameter in template["parameters"].values())
    assert manifest["name"] == name
    assert set(manifest["requires"]["linkedservices"]) == set(template["parameters"]) - {"factoryName"}
    assert {"description", "image", "icons", "services", "categories", "annotations"} <= set(manifest)


@pytest.mark.parametrize("name", SERVICES)
def test_the_linked_services_are_clean(name: str) -> None:
    """The check finds no error in the linked services, but finds an error that is put into one."""
    service = read(f"linkedService/{name}.json")
    assert linked_service_problems(service) == []
    assert service["name"] == name
    assert re.fullmatch(r"\w+", name), "no hyphens in names of linked services"
    service["properties"]["typeProperties"]["key"] = "abc"
    assert linked_service_problems(service) == ["properties.typeProperties.key: not a known property"]


@pytest.mark.parametrize("name", PIPELINES)
def test_a_child_pipeline_with_the_usual_parameters(name: str) -> None:
    """The parameters are BaseUrl, WorkspaceId, DatasetId, Options and the one for the sign-in. All have descriptions;
    the ids have no defaults. With an Azure Function activity, the linked service has the address and the sign-in
    instead."""
    form = "Audience" if name.endswith("identity") else "KeySecretUri"
    usual = {"WorkspaceId", "DatasetId", "Options"}
    expected = usual if "function" in name else usual | {"BaseUrl", form}
    properties = pipeline(name)["properties"]
    parameters = properties["parameters"]
    assert set(parameters) == expected
    assert {key for key, entry in parameters.items() if "defaultValue" not in entry} == {"WorkspaceId", "DatasetId"}
    assert re.findall(r"^(\w+): .+$", properties["description"], re.M) == list(parameters)


@pytest.mark.parametrize("name", PIPELINES)
def test_the_body(name: str) -> None:
    """Each attempt sends the same body: Options, overridden by the ids, the key of the run, and the parent pipeline."""
    options = {"refresh": {"type": "full"}, "timeoutMinutes": 90, "waitSeconds": 45, "datasetId": "another"}
    sent = [body(start, PARENT, options) for start in starts(name)]
    assert sent == [sent[0]] * (4 if "webhook" in name else 1)
    assert sent[0] == {
        "refresh": {"type": "full"},
        "timeoutMinutes": 90,
        "workspaceId": "w",
        "datasetId": "d",
        "idempotencyKey": "run-1/Refresh",
        "caller": {"factory": "contoso-factory", "pipeline": "Load sales", "runId": "run-0"},
        # an activity that needs the address of the status cannot wait for the outcome
        "waitSeconds": 45 if "with-web-" in name else 0,
    }


@pytest.mark.parametrize("name", PIPELINES)
def test_the_body_without_a_parent(name: str) -> None:
    """The caller is the pipeline itself if it was started by hand. A quotation mark in its name is harmless."""
    [sent, *_] = [body(start, {**NO_PARENT, "Pipeline": 'the "big" one'}, {}) for start in starts(name)]
    assert sent["caller"] == {"factory": "contoso-factory", "pipeline": "the big one", "runId": "run-1"}


@pytest.mark.parametrize("name", ALL_PIPELINES)
def test_times_and_retries(name: str) -> None:
    """Each call is attempted four times, a minute apart. The timeout of an activity that waits for the outcome is an
    hour longer than the deadline."""
    hours = DEFAULT_TIMEOUT_MINUTES / 60 + 1
    for activity in activities(pipeline(name)):
        policy, properties = activity.get("policy", {}), activity["typeProperties"]
        if activity["type"] in ("WebActivity", "AzureFunctionActivity"):
            assert (policy["retry"], policy["retryIntervalInSeconds"]) == (3, 60)
        if activity["name"] in WAITING and activity["type"] != "WebHook":
            assert (
                seconds_of(properties["timeout"] if activity["type"] == "Until" else policy["timeout"]) == hours * 3600
            )
        if activity["type"] == "WebHook":
            assert (seconds_of(properties["timeout"]), properties["reportStatusOnCallBack"]) == (hours * 3600, True)


def test_the_webhook_has_four_attempts() -> None:
    """The activity has no retry policy, so the pipeline has four activities, each a minute after the previous
    failure."""
    [first, *others] = activities(pipeline("refresh-with-webhook-identity"))
    tries = [first["name"]]
    for pause, again in zip(others[::2], others[1::2], strict=True):
        assert pause["typeProperties"] == {"waitTimeInSeconds": 60}
        assert pause["dependsOn"] == [{"activity": tries[-1], "dependencyConditions": ["Failed"]}]
        assert again["dependsOn"] == [{"activity": pause["name"], "dependencyConditions": ["Succeeded"]}]
        assert {**again, "name": "", "dependsOn": []} == {**first, "name": "", "dependsOn": []}
        tries.append(again["name"])
    assert len(tries) == 4


@pytest.mark.parametrize("name", ALL_PIPELINES)
def test_a_web_activity_survives_the_longest_wait(name: str) -> None:
    """The activity waits for the answer longer than the maximum of waitSeconds (200) and longer than Azure's limit of
    230 s."""
    for start in starts(name):
        if start["type"] == "WebActivity":
            assert seconds_of(start["typeProperties"]["httpRequestTimeout"]) > 230


DOCUMENTS = [
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "integrations").glob("**/*.md"),
]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link in the documents leads to a file."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_documents_are_complete() -> None:
    """The README has every pipeline, parameter and linked service. docs/callers.md has every way, with the time spans
    of the files."""
    readme, callers = (ADF / "README.md").read_text("utf-8"), (ROOT / "docs/callers.md").read_text("utf-8")
    parameters = {name for file in (EXAMPLE, *ALL_PIPELINES) for name in pipeline(file)["properties"]["parameters"]}
    assert [name for name in {EXAMPLE, *ALL_PIPELINES, *parameters, *SERVICES} if f"{name}" not in readme] == []
    assert [name for name in ALL_PIPELINES if f"`{name.rsplit('-', 1)[0]}`" not in callers] == []
    [web] = starts("refresh-with-web-identity")
    assert f"`httpRequestTimeout` {web['typeProperties']['httpRequestTimeout']}" in callers
