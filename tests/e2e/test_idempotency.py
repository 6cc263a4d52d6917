"""A repeated start with a key is the same request, no matter what state that request is in."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
import requests

from dev.power_bi.service import PowerBiService
from devhost_tests.process import Client
from tests.e2e.test_crashes import mortal
from tests.e2e.world import CALL_SECONDS, END_SECONDS, LONG, WORKSPACE, World

PAUSE_SECONDS = 600
"""The seconds before the second attempt: longer than a test waits for the end of a request."""
URIS = ("id", "statusUri", "cancelUri", "statusQueryGetUri")
TRANSIENT = {"outcome": "Failed", "errorCode": "0xC11C0020", "errorDescription": "The model has been evicted."}


def test_a_repeat_during_the_request_is_the_same_request(world: World) -> None:
    """A repeat gets the same URIs, and there is one refresh. The header has the same effect as the key in the body."""
    model = world.model(seconds=LONG)
    first = world.ask(model, idempotencyKey="load 1")
    again = world.ask(model, idempotencyKey="load 1")
    url, body = f"{world.app}/api/refreshes", {"workspaceId": WORKSPACE, "datasetId": model}
    headers = {"Idempotency-Key": "load 1", **world.headers}
    by_header = requests.post(url, json=body, headers=headers, timeout=CALL_SECONDS).json()
    for name in URIS:
        assert first[name] == again[name] == by_header[name]
    assert ("repeated" in first, again["repeated"], by_header["repeated"]) == (False, True, True)
    world.until(first["statusUri"], lambda status: status["status"] == "Refreshing")
    world.end(model)
    assert world.follow(first["statusUri"]).code == 200
    assert len(world.own(model)) == 1


def test_a_repeat_after_success_starts_no_refresh(world: World) -> None:
    """A repeat gets 200 with the outcome, at once."""
    model = world.model()
    result = world.refreshed(model, idempotencyKey="k")
    again = world.post({"workspaceId": WORKSPACE, "datasetId": model, "idempotencyKey": "k"})
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    assert again.json()["refreshId"] == result.body["refreshId"]
    assert len(world.own(model)) == 1
    assert len(world.listing(datasetId=model).json()["refreshes"]) == 1


def test_a_repeat_after_a_permanent_failure_gets_the_error(world: World) -> None:
    """A repeat gets 424 with the same error, and no new refresh starts."""
    model = world.model(outcome={"outcome": "Failed"})
    result = world.refreshed(model, idempotencyKey="k")
    again = world.post({"workspaceId": WORKSPACE, "datasetId": model, "idempotencyKey": "k"})
    assert (result.code, again.status_code, again.json()["error"]) == (424, 424, result.body["error"])
    assert next(iter(again.json())) == "error"
    assert len(world.own(model)) == 1


@pytest.mark.parametrize("end", ["transient", "timed out"])
def test_a_repeat_after_a_transient_failure_is_a_new_attempt(world: World, end: str) -> None:
    """A pipeline that runs its activity again sends the same key, and expects a new attempt."""
    if end == "timed out":
        model = world.model()
        world.external(model)
        first = world.refreshed(model, idempotencyKey="k", timeoutMinutes=0.02)
    else:
        model = world.model(outcome=[TRANSIENT, "Completed"])
        first = world.refreshed(model, idempotencyKey="k")
    assert (first.code, first.body["error"]["retryable"]) == (424, True)
    second = world.ask(model, idempotencyKey="k")
    assert second["id"] != first.body["id"]
    assert "repeated" not in second
    if end == "timed out":
        world.end(model)
    assert world.follow(second["statusUri"]).code == 200


@pytest.mark.parametrize("key", ["refresh", "workspaceId"])
def test_different_options_with_the_key_are_a_conflict(world: World, key: str) -> None:
    """A start with different options gets a 409 that names the differences. The request with the key continues."""
    model = world.model(seconds=1)
    first = world.ask(model, idempotencyKey="k")
    options: dict[str, object] = {"workspaceId": WORKSPACE, "datasetId": model, "idempotencyKey": "k"}
    answer = world.post({**options, key: {"refresh": {"type": "Full"}, "workspaceId": model}[key]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "IdempotencyKeyInUse")
    assert key in answer.json()["error"]["message"]
    assert world.follow(first["statusUri"]).code == 200


def at_once(*starts: Callable[[], requests.Response]) -> list[requests.Response]:
    """The answers to starts that are sent at the same instant."""
    ready = threading.Barrier(len(starts))

    def go(start: Callable[[], requests.Response]) -> requests.Response:
        ready.wait(CALL_SECONDS)
        return start()

    with ThreadPoolExecutor(len(starts)) as pool:
        return list(pool.map(go, starts))


def test_racing_starts_of_one_key_are_one_request(world: World) -> None:
    """Ten callers at the same instant get the same URIs, no matter which of their starts the engine runs. There is one
    refresh."""
    model = world.model(seconds=LONG)
    answers = at_once(*[lambda: world.start(model, idempotencyKey="k", refresh={"type": "Full"})] * 10)
    assert [answer.status_code for answer in answers] == [202] * 10
    (uris,) = {tuple(answer.json()[name] for name in URIS) for answer in answers}
    started = dict(zip(URIS, uris, strict=True))
    world.until(started["statusUri"], lambda status: status["status"] == "Refreshing")
    world.end(model)
    assert world.follow(started["statusUri"]).code == 200
    assert requests.delete(started["cancelUri"], timeout=CALL_SECONDS).status_code == 200
    assert len(world.own(model)) == 1
    assert [row["id"] for row in world.listing(datasetId=model).json()["refreshes"]] == [started["id"]]


def test_racing_starts_with_different_options_get_their_own_outcomes(world: World) -> None:
    """Starts of two kinds of refresh with one key: each caller gets the outcome of its own kind, or 409."""
    model = world.model()
    kinds = ("Full", "DataOnly") * 5

    def start(kind: str) -> Callable[[], requests.Response]:
        return lambda: world.start(model, idempotencyKey="k", refresh={"type": kind})

    answers = at_once(*(start(kind) for kind in kinds))
    assert {answer.status_code for answer in answers} <= {202, 409}
    accepted: dict[str, set[str]] = {}
    for kind, answer in zip(kinds, answers, strict=True):
        if answer.status_code == 202:
            accepted.setdefault(kind, set()).add(answer.json()["statusUri"])
        else:
            assert answer.json()["error"]["code"] == "IdempotencyKeyInUse"
    assert accepted
    for kind, uris in accepted.items():
        (uri,) = uris
        result = world.follow(uri)
        made = {refresh["requestId"]: refresh["body"]["type"] for refresh in world.own(model)}
        assert (result.code, made[result.body["refreshId"]]) == (200, kind)
    assert len(world.own(model)) == len(accepted)
    # now the key belongs to one of the requests
    later = {kind: start(kind)() for kind in ("Full", "DataOnly")}
    assert sorted(answer.status_code for answer in later.values()) == [200, 409]


def test_keys_belong_to_a_model(world: World) -> None:
    """One key for two models gives two requests."""
    models = [world.model(), world.model()]
    started = [world.ask(model, idempotencyKey="k") for model in models]
    assert [world.follow(each["statusUri"]).code for each in started] == [200, 200]


def test_a_request_is_cancelled_by_its_key(world: World) -> None:
    """The answer is 202 while the cancellation takes effect, 200 with the status if the request has ended, and 404 for
    an unused key."""
    model = world.model(outcome="Stuck")
    first = world.ask(model, idempotencyKey="k", refresh={"type": "Full"})
    world.until(first["statusUri"], lambda status: status.get("refreshId"))
    answer = world.cancel_by_key(model, "k")
    assert (answer.status_code, answer.json()["cancelling"]) == (202, True)
    result = world.follow(first["statusUri"])
    assert (result.code, result.body["status"]) == (424, "Cancelled")
    again = world.cancel_by_key(model, "k")
    assert (again.status_code, again.json()["status"]) == (200, "Cancelled")
    assert [refresh["cancelRequested"] for refresh in world.own(model)] == [True]
    assert world.cancel_by_key(model, "other").status_code == 404


def test_a_transient_failure_is_retried(world: World) -> None:
    """The request retries by itself, at most as often as its option allows."""
    model = world.model(outcome=[TRANSIENT, TRANSIENT, "Completed"])
    result = world.refreshed(model, retries=2)
    assert (result.code, len(world.own(model))) == (200, 3)
    assert "retry" not in result.body

    model = world.model(outcome=[TRANSIENT, TRANSIENT, "Completed"])
    result = world.refreshed(model, retries=1)
    assert (result.code, result.body["error"]["retryable"], len(world.own(model))) == (424, True, 2)


def test_a_permanent_failure_is_not_retried(world: World) -> None:
    """Wrong credentials are not retried, because retrying does not correct them."""
    model = world.model(outcome={"outcome": "Failed"})
    result = world.refreshed(model, retries=3)
    assert (result.code, len(world.own(model))) == (424, 1)


@pytest.mark.usefixtures("local")
def test_a_request_that_backs_off_can_be_cancelled(tmp_path: Path) -> None:
    """The status shows when and why the request will retry. A request that is cancelled before its next attempt ends at
    once, without another refresh."""
    with mortal(tmp_path, PowerBiService(), POLL_MAX_SECONDS=str(PAUSE_SECONDS)) as (world, _):
        model = world.model(outcome=[TRANSIENT])
        started = world.ask(model, retries=10)
        status = world.until(started["statusUri"], lambda status: status.get("retry"))
        retry = status["retry"]
        assert (status["status"], retry["attempt"], retry["after"]) == ("Queued", 2, "ModelEvicted")
        ahead = datetime.fromisoformat(retry["at"]) - datetime.fromisoformat(status["requestedAt"])
        assert ahead.total_seconds() >= PAUSE_SECONDS
        requests.delete(started["cancelUri"], timeout=30)
        result = world.follow(started["statusUri"])
        assert (result.body["status"], result.body["error"]["code"]) == ("Cancelled", "RequestCancelled")
        assert len(world.own(model)) == 1


def test_a_key_whose_first_submission_was_purged(managed: tuple[World, Client]) -> None:
    """The purge deleted submission 1 before submission 2. The key still identifies submission 2, even to cancel it."""
    world, host = managed
    model = world.model(outcome=[TRANSIENT, "Completed"])
    first = world.refreshed(model, idempotencyKey="k")
    second = world.refreshed(model, idempotencyKey="k")
    assert (first.code, second.code) == (424, 200)
    host.becomes(first.body["id"], "Failed", END_SECONDS)
    assert host.manage("DELETE", f"/instances/{first.body['id']}").status_code == 200
    assert requests.get(first.started.url, timeout=CALL_SECONDS).status_code == 404
    third = world.start(model, idempotencyKey="k")
    assert (third.status_code, third.json()["id"], third.json()["repeated"]) == (200, second.body["id"], True)
    assert third.json()["refreshId"] == second.body["refreshId"]
    cancelled = world.cancel_by_key(model, "k")
    assert (cancelled.status_code, cancelled.json()["id"]) == (200, second.body["id"])
    assert len(world.own(model)) == 2


def test_a_hundred_and_twenty_submissions_cost_no_more_than_two(
    managed: tuple[World, Client], record_property: Callable[[str, object], None]
) -> None:
    """A cancellation by key finds all submissions of the key on one page of the engine's list. A start finds the last
    submission, too."""
    world, host = managed
    few, many = (submissions(world, host, count) for count in (2, 120))
    took: dict[str, list[float]] = {few: [], many: []}
    for _ in range(10):
        for model in (few, many):
            began = time.monotonic()
            assert world.cancel_by_key(model, "k").status_code == 200
            took[model].append(time.monotonic() - began)
    quickest = [1000 * min(took[model]) for model in (few, many)]
    record_property("measured", f"finding a key: 2 submissions {quickest[0]:.0f} ms, 120 {quickest[1]:.0f} ms")
    # one read for each submission would take sixty times as long
    assert quickest[1] < 5 * quickest[0] + 50
    assert world.start(many, idempotencyKey="k").json()["id"].split("-")[2] == "121"


def submissions(world: World, host: Client, count: int) -> str:
    """A new model with this many submissions of the key `k`, each terminated by hand."""
    model = world.model()
    world.external(model)
    first = world.ask(model, idempotencyKey="k")
    given = host.status(first["id"], "?showInput=true")["input"]
    state = json.loads(given) if isinstance(given, str) else given
    head, _, tail = first["id"].rsplit("-", 2)
    ids = [f"{head}-{number}-{tail}" for number in range(1, count + 1)]
    for instance in ids[1:]:
        assert host.manage("POST", f"/orchestrators/refresh_request/{instance}", json=state).status_code == 202
    for instance in ids:
        assert host.manage("POST", f"/instances/{instance}/terminate?reason=test").status_code == 202
    for instance in ids:
        host.becomes(instance, "Terminated", END_SECONDS)
    return model
