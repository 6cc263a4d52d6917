"""Batches over HTTP: order, dependencies, one outcome for many models."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from devhost_tests.process import Client
from tests.e2e.receiver import receiving
from tests.e2e.test_crashes import killable
from tests.e2e.test_idempotency import TRANSIENT, URIS
from tests.e2e.world import CALL_SECONDS, DEADLINE, LONG, WORKSPACE, Result, World

CYCLE = "models[0].dependsOn"

Json = dict[str, Any]


def post(world: World, body: object) -> requests.Response:
    """POST /api/batches."""
    return requests.post(f"{world.app}/api/batches", json=body, headers=world.headers, timeout=CALL_SECONDS)


def start_batch(world: World, *models: Json | str, **more: Any) -> Json:
    """Starts a batch that is accepted. Returns the body of the 202."""
    answer = post(world, {"workspaceId": WORKSPACE, "models": models, **more})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def run_batch(world: World, *models: Json | str, **more: Any) -> Result:
    """Starts a batch and waits for its end."""
    return world.follow(start_batch(world, *models, **more)["statusUri"])


def by_name(result: Result) -> dict[str, Json]:
    """The models of a status by their names."""
    return {model["name"]: model for model in result.body["models"]}


def test_all_models_are_refreshed_in_order(world: World) -> None:
    """In a diamond, each model starts after its dependencies have completed; there is one refresh for each model."""
    ids = {name: world.model(seconds=0.3) for name in ("A", "B", "C", "D")}
    before: dict[str, list[str]] = {"A": [], "B": ["A"], "C": ["A"], "D": ["B", "C"]}
    models = [{"name": name, "datasetId": ids[name], "dependsOn": before[name]} for name in ("D", "C", "B", "A")]
    accepted = start_batch(world, *models, caller={"pipeline": "nightly"})
    result = world.follow(accepted["statusUri"])
    assert (result.code, result.body["status"]) == (200, "Completed"), result.body
    refreshes = {name: world.own(dataset_id) for name, dataset_id in ids.items()}
    assert {name: len(found) for name, found in refreshes.items()} == dict.fromkeys(ids, 1)
    for name, others in before.items():
        for other in others:
            assert refreshes[other][0]["endTime"] <= refreshes[name][0]["startTime"]
    assert result.body["counts"] == {"models": 4, "waiting": 0, "started": 0, "completed": 4, "failed": 0, "skipped": 0}
    assert by_name(result)["D"]["dependsOn"] == ["C", "B"]


def test_a_failure_in_a_diamond_skips_what_depends_on_it(world: World) -> None:
    """The answer is 424 with a sentence that names the failure; the rest of the batch is refreshed."""
    models = {name: world.model(seconds=0.2) for name in "ACDE"}
    models["B"] = world.model(outcome="Failed", seconds=0.2)
    before: dict[str, list[str]] = {"A": [], "B": ["A"], "C": ["A"], "D": ["B", "C"], "E": []}
    result = run_batch(
        world, *({"name": name, "datasetId": models[name], "dependsOn": before[name]} for name in sorted(before))
    )
    assert (result.code, result.body["status"]) == (424, "Failed")
    assert {name: model["status"] for name, model in by_name(result).items()} == {
        "A": "Completed",
        "B": "Failed",
        "C": "Completed",
        "D": "Skipped",
        "E": "Completed",
    }
    assert by_name(result)["D"]["reason"] == "B, which it depends on, ended as Failed"
    assert next(iter(result.body)) == "error"
    error = result.body["error"]
    assert (error["code"], error["retryable"]) == ("ModelsNotRefreshed", False)
    assert error["message"].startswith("3 of 5 models were refreshed. B ended as Failed (CredentialsRejected); D was ")
    assert world.own(models["D"]) == []
    request = by_name(result)["B"]["requestId"]
    status = requests.get(f"{world.app}/api/refreshes/{request}/status", headers=world.headers, timeout=CALL_SECONDS)
    assert status.json()["error"]["code"] == by_name(result)["B"]["error"]["code"]


def test_a_retry_refreshes_only_what_did_not_complete(world: World) -> None:
    """A retry names the earlier batch to take over its models, or sends the same list again. A retry can itself be
    retried."""
    good, bad = world.model(seconds=0.2), world.model(outcome=["Failed", "Failed", "Completed"], seconds=0.2)
    models = [{"name": "good", "datasetId": good}, {"name": "bad", "datasetId": bad}]
    first = run_batch(world, *models)
    second = world.follow(post(world, {"retryOf": first.body["id"]}).json()["statusUri"])
    assert (first.code, second.code) == (424, 424)
    third = run_batch(world, *models, retryOf=second.body["id"])
    assert (third.code, third.body["retryOf"]) == (200, second.body["id"])
    assert by_name(third)["good"]["earlier"] is True
    assert by_name(third)["good"]["requestId"] == by_name(first)["good"]["requestId"]
    assert (len(world.own(good)), len(world.own(bad))) == (1, 3)
    going = start_batch(world, {"datasetId": world.model(seconds=LONG)})
    for earlier, words in ((going["id"], "is in progress"), ("batch-0123456789abcdef", "does not exist")):
        refused = post(world, {"retryOf": earlier})
        assert (refused.status_code, refused.json()["error"]["target"]) == (400, "retryOf")
        assert words in refused.json()["error"]["message"]
    requests.delete(going["cancelUri"], timeout=CALL_SECONDS)


def test_all_models_of_a_workspace_but_some(world: World) -> None:
    """Only refreshable models are refreshed; models that `except` lists by name or id are not."""
    workspace = str(uuid.uuid4())
    here = {"workspaceId": workspace, "seconds": 0.2}
    ids = {name: world.model(name=name, **here) for name in ("Sales", "Stock", "Old", "Test")}
    ids["Push"] = world.model(name="Push", isRefreshable=False, **here)
    ids["Elsewhere"] = world.model(name="Elsewhere", workspaceId=str(uuid.uuid4()))
    body = {"workspaceId": workspace, "all": True, "except": ["Old", ids["Test"].upper(), "Gone"]}
    accepted = post(world, body)
    assert accepted.status_code == 202, accepted.text
    result = world.follow(accepted.json()["statusUri"])
    assert (result.code, sorted(by_name(result))) == (200, ["Sales", "Stock"])
    assert result.body["exceptNotFound"] == ["Gone"]
    assert {name for name, dataset_id in ids.items() if world.own(dataset_id)} == {"Sales", "Stock"}
    nothing = world.follow(post(world, {"workspaceId": str(uuid.uuid4()), "all": True}).json()["statusUri"])
    assert (nothing.code, nothing.body["error"]["code"]) == (424, "NoRefreshableModels")
    forbidden = str(uuid.uuid4())
    world.fault(forbidden, "notAuthorized", "models", count=50)
    refused = world.follow(post(world, {"workspaceId": forbidden, "all": True}).json()["statusUri"])
    assert (refused.code, refused.body["error"]["code"]) == (424, "NotAuthorized")


def test_a_cancelled_batch_cancels_its_requests(world: World) -> None:
    """Requests in progress are cancelled, and waiting models are skipped. The read token does not cancel the batch."""
    slow = world.model(seconds=LONG)
    done, waits = world.model(seconds=0.2), world.model()
    accepted = start_batch(
        world,
        {"name": "slow", "datasetId": slow, "refresh": {"type": "full"}},
        {"name": "done", "datasetId": done},
        {"name": "waits", "datasetId": waits, "dependsOn": ["slow"]},
    )
    world.until(accepted["statusUri"], lambda status: status["counts"]["completed"] == 1)
    refused = requests.delete(accepted["statusUri"], timeout=CALL_SECONDS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "TokenOnlyReads")
    assert f"POST to {world.app}/api/batches/{accepted['id']}/cancel." in refused.json()["error"]["message"]
    assert requests.delete(f"{accepted['cancelUri']}x", timeout=CALL_SECONDS).status_code == 404
    cancelled = requests.delete(accepted["cancelUri"], timeout=CALL_SECONDS)
    assert (cancelled.status_code, cancelled.json()["cancelling"]) == (202, True)
    result = world.follow(accepted["statusUri"])
    assert (result.code, result.body["status"], result.body["error"]["code"]) == (424, "Cancelled", "RequestCancelled")
    assert {name: model["status"] for name, model in by_name(result).items()} == {
        "slow": "Cancelled",
        "done": "Completed",
        "waits": "Skipped",
    }
    assert requests.delete(accepted["cancelUri"], timeout=CALL_SECONDS).status_code == 200
    assert world.own(waits) == []


def test_a_starter_needs_no_token(world: World) -> None:
    """The caller that started a batch reads its status and cancels it by id. For an unknown id, the answer is 404."""
    accepted = start_batch(world, {"datasetId": world.model(seconds=LONG), "refresh": {"type": "full"}})
    url = f"{world.app}/api/batches/{accepted['id']}"
    status = requests.get(f"{url}/status", headers=world.headers, timeout=CALL_SECONDS)
    assert (status.status_code, status.headers["Location"]) == (202, f"{url}/status")
    assert requests.post(f"{url}/cancel", headers=world.headers, timeout=CALL_SECONDS).status_code == 202
    assert world.follow(accepted["statusUri"]).body["status"] == "Cancelled"
    for method, path in (("GET", "x/status"), ("POST", "x/cancel"), ("GET", "batch-0?token=x"), ("DELETE", "batch-0")):
        answer = requests.request(
            method, f"{world.app}/api/batches/{path}", headers=world.headers, timeout=CALL_SECONDS
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "BatchNotFound")


def test_a_key_is_one_batch(world: World) -> None:
    """A repeat with the key gets the same URIs, even with another timeout, and after the end the outcome. A start for
    other models gets 409. After a transient failure, the key can start a new batch."""
    key = {"idempotencyKey": str(uuid.uuid4())}
    model = world.model(outcome=[TRANSIENT, "Completed"], seconds=1)
    good = world.model(seconds=0.2)
    first = start_batch(world, {"datasetId": model}, {"datasetId": good}, **key)
    again = start_batch(world, {"datasetId": model}, {"datasetId": good}, timeoutMinutes=60, retries=1, **key)
    assert [first[name] == again[name] for name in URIS] == [True] * len(URIS)
    assert ("repeated" in first, again["repeated"]) == (False, True)
    other = post(world, {"workspaceId": WORKSPACE, "models": [{"datasetId": model}], **key})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IdempotencyKeyInUse")
    assert 'different values for: "models".' in other.json()["error"]["message"]
    result = world.follow(first["statusUri"])
    assert (result.code, result.body["error"]["retryable"]) == (424, True)
    second = start_batch(world, {"datasetId": model}, {"datasetId": good}, **key)
    assert second["id"] != first["id"]
    assert world.follow(second["statusUri"]).code == 200
    assert (len(world.own(model)), len(world.own(good))) == (2, 1)
    third = post(world, {"workspaceId": WORKSPACE, "models": [{"datasetId": model}, {"datasetId": good}], **key})
    assert (third.status_code, third.json()["repeated"], third.json()["id"]) == (200, True, second["id"])


def test_a_start_may_wait_for_the_end_or_be_called_back(calling_back: tuple[World, Client]) -> None:
    """A start that waits gets the whole status; a receiver gets one call with the outcome of each model."""
    world, _ = calling_back
    waited = post(world, {"workspaceId": WORKSPACE, "models": [world.model(seconds=0.2)], "waitSeconds": 60})
    assert (waited.status_code, waited.json()["counts"]["completed"]) == (200, 1)
    with receiving() as receiver:
        body = {"workspaceId": WORKSPACE, "models": [world.model(outcome="Failed", seconds=0.2)]}
        accepted = post(world, {**body, "callBackUri": receiver.uri})
        assert (accepted.status_code, "Location" in accepted.headers) == (200, False)
        call = receiver.wait_for_calls()
    assert (call.body["StatusCode"], call.body["Error"]["ErrorCode"]) == ("424", "ModelsNotRefreshed")
    assert [model["status"] for model in call.body["Output"]["models"]] == ["Failed"]


def test_a_batch_ends_at_its_deadline(world: World) -> None:
    """At the deadline of the batch, its requests in progress time out, and waiting models are skipped."""
    slow, waits = world.model(seconds=LONG), world.model()
    result = run_batch(world, slow, {"datasetId": waits, "dependsOn": [slow]}, timeoutMinutes=DEADLINE)
    assert (result.code, result.body["status"], result.body["error"]["code"]) == (424, "TimedOut", "TimedOut")
    assert [model["status"] for model in result.body["models"]] == ["TimedOut", "Skipped"]


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ([], "body"),
        ({"models": []}, "models"),
        ({"workspaceId": WORKSPACE, "models": [{"datasetId": "x"}]}, "models[0].datasetId"),
        ({"workspaceId": WORKSPACE, "models": [WORKSPACE, WORKSPACE]}, "models[1].name"),
        ({"workspaceId": WORKSPACE, "models": [WORKSPACE], "waitSeconds": 201}, "waitSeconds"),
        ({"workspaceId": WORKSPACE, "models": [WORKSPACE], "callBackUri": "https://example.org/x"}, "callBackUri"),
        ({"workspaceId": WORKSPACE, "models": [{"datasetId": WORKSPACE, "dependsOn": [WORKSPACE]}]}, CYCLE),
    ],
)
def test_what_cannot_be_served_is_refused(world: World, body: object, target: str) -> None:
    """The answer is 400 with the path of the key. `tests/unit/refresh/batch/test_spec.py` has all cases."""
    answer = post(world, body)
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, target), answer.text


def test_a_large_batch_has_all_models_in_its_status(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    """The batch has 500 models and refreshes one at a time. Its status has all models, and it can be cancelled."""
    first = world.model(seconds=LONG)
    models = [first, *(str(uuid.uuid4()) for _ in range(499))]
    began = time.monotonic()
    accepted = start_batch(world, *models, maxConcurrent=1, refresh={"type": "full"})
    record_property("measured", f"start of a batch of 500 models: {time.monotonic() - began:.2f} s")
    status = world.until(accepted["statusUri"], lambda status: status["counts"]["started"] == 1)
    assert (len(status["models"]), status["counts"]["waiting"]) == (500, 499)
    requests.delete(accepted["cancelUri"], timeout=CALL_SECONDS)
    result = world.follow(accepted["statusUri"])
    assert (result.body["status"], result.body["counts"]["skipped"]) == ("Cancelled", 499)


def test_a_kill_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    """After kill -9 while some models are refreshed and others wait, the outcome is right, with one refresh per
    model."""
    with killable(tmp_path) as (world, victim):
        models = {name: world.model(seconds=2) for name in "ABCD"}
        chain: list[Json] = [{"name": "A", "datasetId": models["A"]}, {"name": "B", "datasetId": models["B"]}]
        chain += [{"name": "C", "datasetId": models["C"], "dependsOn": ["A"]}]
        chain += [{"name": "D", "datasetId": models["D"], "dependsOn": ["B", "C"]}]
        accepted = start_batch(world, *chain)
        world.until(accepted["statusUri"], lambda status: status["counts"]["started"] == 2)
        victim.kill()
        victim.start_again()
        result = world.follow(accepted["statusUri"])
        assert (result.code, result.body["counts"]["completed"]) == (200, 4), result.body
        assert [len(world.own(model)) for model in models.values()] == [1] * 4
