"""The description of the API matches the code, and the files that are generated from it are up to date."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import azure.functions as func
import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from dev.integrations import openapi
from refresh.batch.outcome import BatchEnd
from refresh.capacity.answers import OtherRun, WaitsForPlace
from refresh.failure.catalogue import CATALOGUE, Failure, failure
from refresh.history.look import ExternalRefresh
from refresh.history.progress import Progress
from refresh.reporting.status import ENDS, STATUSES, Json, Live, report, summary
from refresh.request.reply import Reply
from refresh.request.spec import CALLER_KEY, KEYS, MAX_TIMEOUT_MINUTES, NOTIFY_OPTIONS, RequestSpec
from refresh.request.state import RequestOutcome, RequestState, Retry, Standing
from refresh.request.stored import StoredRequest
from refresh.scope.options import COMMIT_MODES, TYPES, check_options
from refresh.scope.scope import Scope
from refresh.settings import Settings
from tests.e2e.fuzzing import strict
from tests.simulation.platform import app_functions
from triggers import http_openapi
from triggers.openapi.answers import REFUSALS
from triggers.openapi.description import FUNCTION_KEY, SIGN_IN, TOKEN, describe

ROOT = Path(__file__).parents[3]
DOCUMENT = describe({"url": "https://example.net/api"})
SCHEMAS = DOCUMENT["components"]["schemas"]

HTTP = [function for (kind, _), function in app_functions().items() if kind == "http"]

OPEN = {"/openapi.json", "/health"}
PAGE = {("/ui", "GET"), ("/ui/{name}", "GET")}
"""The status page and its files, which are public and for browsers."""
BY_TOKEN = {"/refreshes/{id}", "/batches/{id}"}


def operations() -> Iterator[tuple[str, str, Json]]:
    """Path, method and description of each operation."""
    for path, item in DOCUMENT["paths"].items():
        for method in ("get", "post", "put", "patch", "delete"):
            if method in item:
                yield path, method.upper(), item[method]


def routes() -> dict[tuple[str, str], str]:
    """The HTTP routes that the app registers, with their auth levels."""
    found = {}
    for trigger in (function.trigger for function in HTTP if function.kind == "http"):
        for method in trigger["methods"]:
            found["/" + trigger["route"], method] = trigger["authLevel"]
    return found


def keys(schema: Json) -> set[str]:
    """The keys of an object's schema."""
    return set(schema["properties"])


@pytest.mark.parametrize("ways", [(FUNCTION_KEY,), (SIGN_IN,), (FUNCTION_KEY, SIGN_IN)])
def test_it_is_openapi(ways: tuple[str, ...]) -> None:
    """With each access control, the description is valid OpenAPI 3.1, and has no details of the other access
    control."""
    document = describe({"url": "https://example.net/api"}, ways)
    from openapi_spec_validator import OpenAPIV31SpecValidator  # the import is slow, and few test processes need it

    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert set(document["components"]["securitySchemes"]) == {*ways, TOKEN}
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert used == set(document["components"]["schemas"])
    for status, schema in (("401", "NotSignedIn"), ("403", "NotAllowed")):
        start = document["paths"]["/refreshes"]["post"]["responses"]
        assert (schema in json.dumps(start.get(status, {}))) == (SIGN_IN in ways)


def test_every_route_is_described_and_nothing_else() -> None:
    """Each route has its method, and an access control that matches its auth level."""
    described = {(path, method): operation["security"] for path, method, operation in operations()}
    registered = {route: level for route, level in routes().items() if route not in PAGE}
    assert len(registered) == len(routes()) - len(PAGE)
    assert set(described) == set(registered)
    for route, level in registered.items():
        for_starters = described[route] == [{FUNCTION_KEY: []}, {SIGN_IN: []}]
        assert for_starters == (level == "FUNCTION"), route


def test_routes_without_a_key_need_a_token_or_are_public() -> None:
    """Only the description itself and the state of the app are public."""
    assert {path for path, _, operation in operations() if operation["security"] == []} == OPEN
    tokens = {path for path, _, operation in operations() if {TOKEN: []} in operation["security"]}
    assert tokens == BY_TOKEN


SPEC = RequestSpec(dataset_id="d", scope=Scope(workspace_id="w"))


def test_the_keys_of_a_request() -> None:
    """The description has the keys that the code checks, with the same choices."""
    request = SCHEMAS["RefreshRequest"]
    assert list(request["properties"]) == list(KEYS)
    assert request["additionalProperties"] is False
    assert request["properties"]["notifyOption"]["enum"] == list(NOTIFY_OPTIONS)
    assert request["properties"]["timeoutMinutes"]["maximum"] == MAX_TIMEOUT_MINUTES
    defaults = {key: value["default"] for key, value in request["properties"].items() if "default" in value}
    assert defaults == {
        "notifyOption": SPEC.scope.notify_option,
        "timeoutMinutes": SPEC.timeout_minutes,
        "onTimeout": "cancel" if SPEC.cancel_on_timeout else "leave",
        "share": SPEC.share,
        "retries": SPEC.retries,
        "priority": SPEC.priority,
        "waitSeconds": Reply().wait_seconds,
    }
    assert request["properties"]["caller"]["propertyNames"]["pattern"] == f"^{CALLER_KEY.pattern}$"


def test_the_options_of_a_refresh() -> None:
    """The description has the options that the code checks."""
    options = SCHEMAS["RefreshOptions"]["properties"]
    with pytest.raises(ValueError, match="Known options: ") as refused:
        check_options({"?": 1})
    assert ", ".join(options) == str(refused.value).split("Known options: ")[1].rstrip(".")
    assert options["type"]["enum"] == list(TYPES)
    assert options["commitMode"]["enum"] == list(COMMIT_MODES)


TIME = "2026-03-31T06:00:00.000Z"
EVERYTHING = RequestOutcome(
    status="Failed",
    error=failure("RefreshFailed", "d"),
    run_id="r",
    refresh_id="x",
    shared_with=0,
    served_by="own",
    started_at=TIME,
    ended_at=TIME,
    model_name="m",
    workspace_name="w",
)
"""An outcome with all keys."""
LIVE = Live(
    status="Refreshing",
    position=0,
    run_id="r",
    refresh_id="x",
    shared_with=0,
    started_at=TIME,
    waits_for=ExternalRefresh(refresh_id="y", refresh_type="Scheduled", started_at=TIME),
    waits_for_place=WaitsForPlace(
        group="P1",
        since=TIME,
        position=1,
        behind=(OtherRun(run_id="q", dataset_id="e", model_name="n", since=TIME, holds_place=True),),
        closed_until=TIME,
    ),
    expected_end=TIME,
    progress=Progress(objects=1, by_status={"Completed": 1}, tables=(), more_tables=0),
    last_call_error="HTTP 503",
)
"""A request in progress with all keys."""
OF_TRIGGERS = {"repeated", "cancelling", "statusUri", "statusQueryGetUri"}
"""The keys that triggers add to a status."""


def stored(
    outcome: RequestOutcome | None = None, caller: dict[str, str] | None = None, batch: str = ""
) -> StoredRequest:
    """A request with all keys of a standing."""
    spec = RequestSpec(dataset_id="d", scope=Scope(workspace_id="w"), caller=caller or {})
    state = RequestState(spec=spec, token="t", read_token="r", cancel_token="c", requested_at=TIME, batch=batch)
    standing = Standing(retry=Retry(attempt=2, at=TIME, after="RefreshFailed"))
    return StoredRequest(id="id", engine_status="Running", state=state, standing=standing, outcome=outcome)


def test_the_keys_of_a_status() -> None:
    """The description has exactly the possible keys, including those of inner objects. Keys that are always present are
    required."""
    ended = report(stored(EVERYTHING, {"pipeline": "p"}, "b"), datetime.now(UTC)).body
    in_progress = report(stored(caller={"pipeline": "p"}), datetime.now(UTC), LIVE).body
    status = SCHEMAS["Status"]
    assert {*ended, *in_progress, *OF_TRIGGERS} == keys(status)
    assert set(ended["output"]) == keys(status["properties"]["output"])
    assert set(in_progress["retry"]) == keys(status["properties"]["retry"])
    assert set(in_progress["waitsFor"]) == keys(SCHEMAS["BlockingRefresh"])
    assert set(in_progress["waitsForPlace"]) == keys(SCHEMAS["WaitsForPlace"])
    in_front = SCHEMAS["WaitsForPlace"]["properties"]["behind"]["items"]
    assert set(in_progress["waitsForPlace"]["behind"][0]) == keys(in_front)
    bare = [report(stored(), datetime.now(UTC)).body, report(stored(COMPLETED), datetime.now(UTC)).body]
    assert set(status["required"]) == set(bare[0]) & set(bare[1]) - {"retry"}
    assert set(ended["error"]) <= keys(SCHEMAS["Failure"])
    assert {field.encode_name for field in msgspec.structs.fields(Failure)} == keys(SCHEMAS["Failure"])


COMPLETED = RequestOutcome(status="Completed")


def test_the_keys_of_a_row_of_the_list() -> None:
    """A row of the list has exactly the described keys. Keys that are always present are required."""
    rows = [summary(stored(EVERYTHING, {"pipeline": "p"}, "b")), summary(stored())]
    assert set(rows[0]) == keys(SCHEMAS["Summary"])
    assert set(rows[1]) == set(SCHEMAS["Summary"]["required"])


def bodies() -> Iterator[tuple[str, Json]]:
    """Each body of an operation or of an answer, with its place."""
    for path, method, operation in operations():
        if "requestBody" in operation:
            yield f"{method} {path}", operation["requestBody"]["content"]["application/json"]
        for status, response in operation["responses"].items():
            if "content" in response:
                yield f"{method} {path} {status}", response["content"]["application/json"]


def examples(body: Json) -> list[Json]:
    """The examples of a body. Each answer has one example, or several with names."""
    named = [one["value"] for one in body.get("examples", {}).values()]
    return [body["example"]] if "example" in body else named


@pytest.mark.parametrize(("where", "body"), list(bodies()), ids=[where for where, _ in bodies()])
def test_every_body_has_an_example_that_fits(where: str, body: Json) -> None:
    """An example has no undescribed key, and its values have the described formats."""
    schema = {**body["schema"], "components": strict(DOCUMENT)["components"]}
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    found = examples(body)
    assert found
    assert [problem for one in found for problem in validator.iter_errors(one)] == [], where


def test_an_example_has_the_status_of_its_answer() -> None:
    """An example of 202 is in progress, one of 200 has completed, and one of 424 has an error."""
    for path, method, operation in operations():
        for status, response in operation["responses"].items():
            for example in examples(response.get("content", {}).get("application/json", {})):
                if "runtimeStatus" in example and not (method == "DELETE" or path.endswith("/cancel")):
                    assert (example["status"] == "Completed") == (status == "200")
                    assert ("error" in example) == (status == "424")
                    assert (example["status"] in ENDS) == (status != "202")


def test_a_route_that_readers_may_call_has_only_its_own_refusals() -> None:
    """A route without effects refuses neither readers nor pages of other sites."""
    for _, method, operation in operations():
        refused = operation["responses"].get("403", {}).get("content", {}).get("application/json", {})
        codes = {example["error"]["code"] for example in examples(refused)}
        if method == "GET":
            assert codes <= {"CallerNotAllowed"}


def test_examples_show_every_form_of_an_answer() -> None:
    """There are examples of each status of a request and of a batch, and of each code of a refusal."""
    found = [one for _, body in bodies() for one in examples(body)]
    in_progress = [one for one in found if one.get("runtimeStatus") == "Running"]
    assert {one["status"] for one in in_progress if "counts" not in one} == set(STATUSES) - set(ENDS)
    assert {one["status"] for one in in_progress if "counts" in one} == {"Running", "Listing"}
    ended = [one for one in found if one.get("status") in ENDS and "runtimeStatus" in one]
    assert {one["status"] for one in ended if "counts" not in one} == set(ENDS)
    assert {one["status"] for one in ended if "counts" in one} == set(get_args(BatchEnd))
    assert {one["error"]["code"] for one in found if "target" in one.get("error", {})} == {
        code for _, codes in REFUSALS.values() for code in codes
    }


def test_statuses_and_codes() -> None:
    """The description has the statuses of the report and the codes of the catalogue."""
    assert SCHEMAS["Status"]["properties"]["status"]["enum"] == list(STATUSES)
    assert SCHEMAS["Status"]["properties"]["output"]["properties"]["status"]["enum"] == list(ENDS)
    assert set(SCHEMAS["Failure"]["properties"]["code"]["x-extensible-enum"]) == set(CATALOGUE)


def test_codes_of_refusals() -> None:
    """The description lists, by HTTP status, the error codes with which the app refuses calls."""
    named: dict[int, set[str]] = defaultdict(set)
    for folder in ("refresh", "triggers"):
        for file in (ROOT / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                    words = [node.value if isinstance(node, ast.Constant) else None for node in call.args]
                    if call.func.id == "error" and words and isinstance(words[0], int):
                        named[words[0]].add(str(words[1]))
                    if call.func.id in ("BadRequestError", "UriError"):
                        at = 2 if call.func.id == "BadRequestError" else 1
                        named[400].add(str(words[at] or "InvalidRequest") if len(words) > at else "InvalidRequest")
    named[404].remove("PageNotFound")  # of the status page, which is not part of the description
    described: dict[int, set[str]] = defaultdict(set)
    for status, codes in REFUSALS.values():
        described[status].update(codes)
    assert named == described


@pytest.mark.parametrize(
    ("settings", "prefix", "server"),
    [
        (Settings(), "api/", "http://127.0.0.1:7071/api"),
        (Settings(public_base_url="https://gateway.example.net/bi"), "api/", "https://gateway.example.net/bi/api"),
        (Settings(public_base_url="https://gateway.example.net"), "", "https://gateway.example.net"),
        (Settings(auth_mode="entra"), "bi/api/", "http://127.0.0.1:7071/bi/api"),
    ],
)
def test_it_is_served_with_the_address_of_the_app(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, prefix: str, server: str
) -> None:
    """PUBLIC_BASE_URL and the route prefix are in `servers`, and AUTH_MODE decides on the access control."""
    monkeypatch.setattr(http_openapi, "current_settings", lambda: settings)
    monkeypatch.setattr(http_openapi, "route_prefix", lambda: prefix)
    serve = app_functions()["http", "http_openapi"].handler
    request = func.HttpRequest("GET", "http://127.0.0.1:7071/api/openapi.json", body=b"")
    answer = asyncio.run(serve(req=request))
    assert answer.status_code == 200
    way = SIGN_IN if settings.auth_mode == "entra" else FUNCTION_KEY
    assert json.loads(answer.get_body()) == describe({"url": server}, (way,))


def test_the_yaml_is_the_description() -> None:
    """The YAML file is the description, except for the address of the server."""
    document = yaml.safe_load((ROOT / "integrations" / openapi.OPENAPI).read_text("utf-8"))
    assert {**document, "servers": DOCUMENT["servers"]} == DOCUMENT


SWAGGER = json.loads((ROOT / "integrations" / openapi.CONNECTOR).read_text("utf-8"))


def test_the_connector_is_swagger() -> None:
    """The connector is valid Swagger 2.0, the only version that custom connectors support."""
    from openapi_spec_validator import OpenAPIV2SpecValidator

    assert list(OpenAPIV2SpecValidator(SWAGGER).iter_errors()) == []


def test_the_connector_has_every_operation() -> None:
    """The connector has every operation except the description itself. A token that the app requires is a parameter."""
    described = {(path, method) for path, method, _ in operations()}
    offered = {
        (path, method.upper()): operation
        for path, item in SWAGGER["paths"].items()
        for method, operation in item.items()
    }
    assert described - set(offered) == {("/openapi.json", "GET")}
    for (path, _), operation in offered.items():
        names = [parameter["name"] for parameter in operation.get("parameters", [])]
        assert ("token" in names) == (path in BY_TOKEN)


def test_the_connector_follows_the_rules_of_the_platform() -> None:
    """Names have Pascal case, operations a summary and a sentence, fields a label; there is no anyOf."""
    for item in SWAGGER["paths"].values():
        for operation in item.values():
            assert re.fullmatch(r"([A-Z][a-z]+)+", operation["operationId"])
            assert operation["summary"]
            assert operation["description"].endswith(".")
            for parameter in operation.get("parameters", []):
                assert parameter["description"].endswith(".")
                assert parameter["in"] == "body" or parameter["x-ms-summary"]
    text = json.dumps(SWAGGER)
    assert not re.search(r'"(anyOf|oneOf|allOf|if|not|const|propertyNames)":', text)
    assert len(text) < 1_000_000
    labels = SWAGGER["definitions"]["RefreshRequest"]["properties"]
    assert labels["datasetId"]["x-ms-summary"] == "Dataset ID"
    assert labels["refresh"] == {"$ref": "#/definitions/RefreshOptions"}
