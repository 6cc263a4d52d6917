"""The app conforms to its description with any input. Further tests show that these tests can fail."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import settings

from dev.power_bi.messages import Request, Response
from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from refresh.models.index import shard_of
from tests.e2e.described import Described
from tests.e2e.fuzzing import Findings, fuzz, only
from tests.e2e.world import END_SECONDS, FAST, LONG, WORKSPACE, World
from triggers.openapi.description import FUNCTION_KEY, describe

pytestmark = pytest.mark.usefixtures("local")

EXAMPLES = 100 if settings.get_current_profile_name() == "thorough" else 8
"""The number of random calls of each operation, in addition to the boundary values."""

Json = dict[str, Any]

# Fuzzing must reach these answers; otherwise it tests too little. Tokens cannot be guessed, so the routes that need one
# answer 404.
ALLOWED = {
    "POST /refreshes": {202, 401},
    "GET /refreshes": {200, 401},
    "POST /refreshes/cancel": {401, 404},
    "POST /check": {200, 401},
    "GET /refreshes/{id}": {404},
    "DELETE /refreshes/{id}": {404},
    "GET /refreshes/{id}/status": {404},
    "POST /refreshes/{id}/cancel": {404},
    "GET /batches/{id}": {404},
    "DELETE /batches/{id}": {404},
    "GET /batches/{id}/status": {404},
    "POST /batches/{id}/cancel": {404},
    "GET /queues/{datasetId}": {200, 401},
    "GET /models": {200, 401},
    "GET /models/{datasetId}": {404},
    "GET /capacity": {200, 401},
    "GET /openapi.json": {200},
    "GET /health": {200},
}
FORBIDDEN = {
    **ALLOWED,
    "POST /refreshes": {202, 400, 401},
    "POST /refreshes/cancel": {400, 401},
    "POST /check": {400, 401},
    "GET /refreshes/{id}/status": {401, 404},
    "POST /refreshes/{id}/cancel": {401, 404},
    "GET /batches/{id}/status": {401, 404},
    "POST /batches/{id}/cancel": {401, 404},
    "GET /refreshes": {400, 401},
    "GET /queues/{datasetId}": {400, 401},
    "GET /models": {400, 401},
    "GET /models/{datasetId}": {400, 401},
    "GET /capacity": {401},
}


def assert_reached(findings: Findings, expected: dict[str, set[int]]) -> None:
    """Fails unless every operation has answered with at least these statuses."""
    seen = findings.seen()
    missing = {name: statuses - seen.get(name, set()) for name, statuses in expected.items()}
    assert (set(seen), {name for name, statuses in missing.items() if statuses}) == (set(expected), set()), seen


class Watched(PowerBiService):
    """A Power BI service that records the models of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.models: set[str] = set()

    def handle(self, request: Request, now: datetime) -> Response:
        found = re.search(r"/datasets/([0-9a-f-]{36})", request.path)
        if found:
            self.models.add(found[1])
        return super().handle(request, now)


@dataclass(frozen=True)
class Fuzzed:
    """An app that checks keys, and its Power BI service."""

    world: World
    app: Devhost
    service: Watched

    def fuzz(self, mode: Any, document: Json | None = None, examples: int = EXAMPLES) -> Findings:
        """Fuzzes the app, see `tests.e2e.fuzzing.fuzz`."""
        return fuzz(self.world.app, self.world.key, mode, examples, document)

    def described(self) -> Json:
        """The description of the app, for tests that change it."""
        return describe({"url": f"{self.world.app}/api"}, (FUNCTION_KEY,))

    def unrequested(self, accepted: set[str], checked: Set[str] = frozenset()) -> set[str]:
        """The ids of orchestrations, listed requests and models at Power BI for which no request was accepted."""
        instances = self.app.manage("GET", "/instances?top=10000").json()
        begun = {row["instanceId"] for row in instances if row["name"] == "refresh_request"}
        others = {row["instanceId"] for row in instances} - begun
        listed = {row["id"] for row in self.listed()}
        models = {id_of_model(request_id) for request_id in accepted}
        # the id of a run begins with the id of a request; the key of a queue or a record is the id of a model
        entities = {f"@{kind}@{model}" for kind in ("dataset_queue", "model_record") for model in models}
        entities |= {f"@model_index@{shard_of(model)}" for model in models}
        known = (*accepted, "@timer_heartbeat@")
        stray = {name for name in others - entities if not name.startswith(known)}
        return (begun - accepted) | (listed - accepted) | (self.service.models - models - checked) | stray

    def listed(self) -> list[Json]:
        """All requests."""
        found: list[Json] = []
        page: Json = {"continuation": ""}
        while page["continuation"] is not None:
            page = self.world.listing(continuation=page["continuation"]).json()
            found += page["refreshes"]
        return found


def id_of_model(request_id: str) -> str:
    """The dataset id at the beginning of a request id."""
    text = request_id[:32]
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@contextmanager
def fuzzed(state: Path, app: Path = ROOT) -> Iterator[Fuzzed]:
    """An app for one test, so that it has only the requests of that test."""
    with ExitStack() as stack:
        service = Watched()
        power_bi = stack.enter_context(serve(service))
        env = {**FAST, "POWER_BI_API_URL": power_bi.base_url}
        host = stack.enter_context(Devhost(app, state, "--key", KEY, "--keys", "--exact-timers", env=env))
        yield Fuzzed(World(host.base, power_bi.base_url, host.host_key()), host, service)


def test_calls_that_the_description_allows(tmp_path: Path) -> None:
    """The app accepts the calls and answers as described; every accepted request is in the list."""
    with fuzzed(tmp_path) as target:
        findings = target.fuzz("positive")
        assert findings.wrong == []
        assert_reached(findings, ALLOWED)
        assert len(findings.accepted) > EXAMPLES / 2
        assert {row["id"] for row in target.listed()} == findings.accepted
        assert target.unrequested(findings.accepted, findings.checked) == set()


def test_calls_that_the_description_forbids(tmp_path: Path) -> None:
    """The app refuses the calls as described. They start no orchestration, no request and no call of Power BI."""
    with fuzzed(tmp_path) as target:
        findings = target.fuzz("negative")
        assert findings.wrong == []
        assert_reached(findings, FORBIDDEN)
        refused = sum(count for (name, status), count in findings.answers.items() if status >= 400)
        assert refused > 3 * EXAMPLES
        # only a valid body with a different content type can have been accepted
        assert len(findings.accepted) <= 5
        assert target.unrequested(findings.accepted, findings.checked) == set()


def without_status(document: Json) -> None:
    del document["paths"]["/refreshes"]["get"]["responses"]["200"]


def without_key(document: Json) -> None:
    started = document["components"]["schemas"]["Started"]
    del started["properties"]["statusQueryGetUri"]
    started["required"].remove("statusQueryGetUri")


def another_type(document: Json) -> None:
    document["components"]["schemas"]["Queue"]["properties"]["waiting"]["type"] = "string"


def another_content_type(document: Json) -> None:
    answer = document["paths"]["/queues/{datasetId}"]["get"]["responses"]["200"]
    answer["content"] = {"text/plain": answer["content"]["application/json"]}


def another_header(document: Json) -> None:
    header = document["paths"]["/refreshes"]["post"]["responses"]["202"]["headers"]["Retry-After"]
    header["schema"] = {"type": "integer", "minimum": 60}


def allowed_too_much(document: Json) -> None:
    document["components"]["schemas"]["RefreshRequest"]["properties"]["timeoutMinutes"]["maximum"] += 1


def forbidden_too_much(document: Json) -> None:
    document["components"]["schemas"]["RefreshRequest"]["properties"]["timeoutMinutes"]["maximum"] -= 1


def open_to_all(document: Json) -> None:
    document["paths"]["/openapi.json"]["get"]["security"] = [{"functionKey": []}]


WRONG: list[tuple[Callable[[Json], None], str, str, str]] = [
    (without_status, "/refreshes", "positive", "status_code_conformance"),
    (without_key, "/refreshes", "positive", "response_schema_conformance"),
    (another_type, "/queues/{datasetId}", "positive", "response_schema_conformance"),
    (another_content_type, "/queues/{datasetId}", "positive", "content_type_conformance"),
    (another_header, "/refreshes", "positive", "response_headers_conformance"),
    (allowed_too_much, "/refreshes", "positive", "positive_data_acceptance"),
    (forbidden_too_much, "/refreshes", "negative", "negative_data_rejection"),
    (open_to_all, "/openapi.json", "positive", "ignored_auth"),
]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """An app for the tests that do not count requests."""
    with fuzzed(tmp_path_factory.mktemp("state")) as target:
        yield target


@pytest.mark.parametrize(("mistake", "path", "mode", "check"), WRONG, ids=[row[0].__name__ for row in WRONG])
def test_a_description_that_is_wrong_is_found(
    one: Fuzzed, mistake: Callable[[Json], None], path: str, mode: str, check: str
) -> None:
    """If the description has one mistake, the check for this mistake reports it."""
    document = copy.deepcopy(only(one.described(), path))
    mistake(document)
    findings = one.fuzz(mode, document, examples=5)
    assert any(f": {check}: " in sentence for sentence in findings.wrong), findings.wrong


BROKEN = """
import importlib.util, sys
sys.path.insert(0, {root!r})
from triggers import http_list
http_list.decode_continuation = lambda continuation: continuation
spec = importlib.util.spec_from_file_location("app_under_test", {root!r} + "/function_app.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
app = module.app
"""


def test_an_app_that_breaks_is_found(tmp_path: Path) -> None:
    """An old version of the list passed every continuation to the engine. With this version, the app answers 500, and
    the check finds it."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "host.json").write_bytes((ROOT / "host.json").read_bytes())
    (app / "function_app.py").write_text(BROKEN.format(root=str(ROOT)), encoding="utf-8")
    with fuzzed(tmp_path / "state", app) as target:
        findings = target.fuzz("negative", only(target.described(), "/refreshes"))
    assert any("GET /refreshes: not_a_server_error: " in sentence for sentence in findings.wrong), findings.wrong


def test_an_unrequested_start_is_found(one: Fuzzed) -> None:
    """`unrequested` reports a request that is not among the accepted ones, and its model."""
    known, unknown = (one.world.ask(one.world.model())["id"] for _ in range(2))
    accepted = {row["id"] for row in one.listed()} - {unknown}
    assert known in accepted
    one.world.follow(one.world.ask(id_of_model(unknown))["statusUri"])
    assert {unknown, id_of_model(unknown)} <= one.unrequested(accepted)


def test_a_story_is_answered_as_described(one: Fuzzed) -> None:
    """Calls with real tokens are answered as described: all phases, success, failure, cancellation, a busy queue, and
    pages of the list."""
    world, description = one.world, Described(one.world.app)

    def follow(uri: str) -> requests.Response:
        until(lambda: description.check(requests.get(uri, timeout=30)).status_code != 202, END_SECONDS)
        return description.check(requests.get(uri, timeout=30))

    model = world.model(seconds=LONG, outcome=["Completed", "Failed", "Completed"])
    world.external(model)
    options = {"workspaceId": WORKSPACE, "datasetId": model, "share": False, "caller": {"pipeline": "p"}}
    started = [description.check(world.post(options)).json() for _ in range(3)]
    good, bad, missing = started
    world.until(good["statusUri"], lambda status: status.get("waitsFor"))
    description.check(requests.get(good["statusUri"], timeout=30))
    description.check(requests.delete(missing["cancelUri"], timeout=30))
    world.queue_when(model, lambda queue: (queue["active"] or {}).get("waitsFor"))
    assert description.check(world.queue(model)).json()["active"]["waitsFor"]
    world.end(model)
    world.until(good["statusUri"], lambda status: status["status"] == "Refreshing")
    world.queue_when(model, lambda queue: (queue["active"] or {}).get("refreshId"))
    assert description.check(world.queue(model)).json()["active"]["refreshId"]
    world.end(model)
    assert follow(good["statusUri"]).json()["status"] == "Completed"
    assert follow(missing["statusUri"]).json()["status"] == "Cancelled"
    world.until(bad["statusUri"], lambda status: status["status"] == "Refreshing")
    world.control(model, "/end", {"outcome": "Failed"})
    assert follow(bad["statusUri"]).json()["status"] == "Failed"
    assert description.check(requests.delete(missing["cancelUri"], timeout=30)).status_code == 200
    assert description.check(requests.delete(good["statusUri"], timeout=30)).status_code == 403
    assert description.check(requests.get(f"{world.app}/api/health", timeout=30)).status_code == 200
    description.check(world.listing(datasetId=model))
    key, mine = {"x-functions-key": world.key or ""}, f"{world.app}/api/refreshes/{good['id']}"
    description.check(requests.get(f"{mine}/status", headers=key, timeout=30))
    description.check(requests.post(f"{mine}/cancel", headers=key, timeout=30))
    ids = {"workspaceId": WORKSPACE, "datasetId": model}
    found = description.check(requests.post(f"{world.app}/api/check", json=ids, headers=key, timeout=30)).json()
    assert found["ok"]
    assert found["lastRefresh"]
    assert description.check(requests.get(f"{world.app}/api/openapi.json", timeout=30)).json() == one.described()


def test_a_story_with_outcomes_at_once_is_answered_as_described(one: Fuzzed) -> None:
    """Calls that get outcomes at once are answered as described: starts that wait, repeats with a key, a key in use, a
    callback, and a cancellation by key."""
    world, description = one.world, Described(one.world.app)
    model = world.model(outcome=["Completed", "Failed", "Completed"])
    options = {"workspaceId": WORKSPACE, "datasetId": model, "waitSeconds": 60}
    first = description.check(world.post({**options, "idempotencyKey": "1"}))
    again = description.check(world.post({**options, "idempotencyKey": "1"}))
    assert (first.status_code, again.status_code) == (200, 200)
    uris = {name: again.json()[name] for name in ("statusUri", "statusQueryGetUri")}
    assert again.json() == {**first.json(), "repeated": True, **uris}
    assert description.check(world.post({**options, "idempotencyKey": "2"})).status_code == 424
    other = {**options, "idempotencyKey": "1", "refresh": {"type": "Full"}}
    assert description.check(world.post(other)).status_code == 409
    hooked = {**options, "waitSeconds": 0, "callBackUri": "http://127.0.0.1:9/", "idempotencyKey": "3"}
    assert description.check(world.post(hooked)).status_code == 200
    assert description.check(world.post({**hooked, "callBackUri": None})).json()["repeated"]
    assert description.check(world.post({**hooked, "callBackUri": "https://example.com"})).status_code == 400
    assert description.check(world.cancel_by_key(model, "3")).status_code == 202
    assert description.check(world.cancel_by_key(model, "1")).status_code == 200
    assert description.check(world.cancel_by_key(model, "4")).status_code == 404


def test_a_story_of_batches_is_answered_as_described(one: Fuzzed) -> None:
    """Calls about batches are answered as described: success, failure, cancellation, a repeat, a key in use, a
    callback, and refused calls."""
    world, description = one.world, Described(one.world.app)
    key, url = {"x-functions-key": world.key or ""}, f"{world.app}/api/batches"
    good, bad, slow = world.model(), world.model(outcome="Failed"), world.model(seconds=LONG)

    def post(**keys: Any) -> requests.Response:
        body = {"workspaceId": WORKSPACE, **keys}
        return description.check(requests.post(url, json=body, headers=key, timeout=90))

    assert post(models=[good], waitSeconds=60, idempotencyKey="b1").status_code == 200
    assert post(models=[good], idempotencyKey="b1").json()["repeated"]
    assert post(models=[bad], idempotencyKey="b1").status_code == 409
    chain = [{"name": "bad", "datasetId": bad}, {"datasetId": good, "dependsOn": ["bad"]}]
    failed = post(models=chain, waitSeconds=60, caller={"pipeline": "p"})
    assert (failed.status_code, failed.json()["models"][1]["status"]) == (424, "Skipped")
    assert post(retryOf=failed.json()["id"], callBackUri="http://127.0.0.1:9/").status_code == 200
    assert post(models=[]).status_code == 400
    started = post(models=[{"datasetId": slow, "refresh": {"type": "Full"}}, good])
    assert started.status_code == 202
    mine, uri = f"{url}/{started.json()['id']}", started.json()["statusUri"]
    assert description.check(requests.get(uri, timeout=30)).status_code == 202
    assert description.check(requests.get(f"{mine}/status", headers=key, timeout=30)).status_code == 202
    assert description.check(requests.delete(uri, timeout=30)).status_code == 403
    assert description.check(requests.delete(started.json()["cancelUri"], timeout=30)).status_code == 202
    until(lambda: description.check(requests.get(uri, timeout=30)).status_code == 424, END_SECONDS)
    assert description.check(requests.post(f"{mine}/cancel", headers=key, timeout=30)).status_code == 200
    assert post(workspaceId=good, all=True, waitSeconds=60).json()["error"]["code"] == "NoRefreshableModels"
