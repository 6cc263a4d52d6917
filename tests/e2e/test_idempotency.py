"""Asking again under a key is the same request, whatever has become of it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.e2e.world import WORKSPACE, World

URIS = ("id", "statusUri", "cancelUri", "statusQueryGetUri")
TRANSIENT = {"outcome": "Failed", "errorCode": "0xC11C0020", "errorDescription": "The model has been evicted."}


def test_a_repeat_while_it_goes_on_is_the_same_request(world: World) -> None:
    """The same URIs, one refresh; the header says the same as the key in the body."""
    model = world.model(seconds=3)
    first = world.ask(model, idempotencyKey="load 1")
    again = world.ask(model, idempotencyKey="load 1")
    url, body = f"{world.app}/api/refreshes", {"workspaceId": WORKSPACE, "datasetId": model}
    by_header = requests.post(url, json=body, headers={"Idempotency-Key": "load 1"}, timeout=30).json()
    for name in URIS:
        assert first[name] == again[name] == by_header[name]
    assert ("repeated" in first, again["repeated"], by_header["repeated"]) == (False, True, True)
    assert world.follow(first["statusUri"]).code == 200
    assert len(world.own(model)) == 1


def test_a_repeat_after_success_refreshes_nothing(world: World) -> None:
    """200 with the verdict, at once."""
    model = world.model()
    told = world.refreshed(model, idempotencyKey="k")
    again = world.post({"workspaceId": WORKSPACE, "datasetId": model, "idempotencyKey": "k"})
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    assert again.json()["refreshId"] == told.body["refreshId"]
    assert len(world.own(model)) == 1
    assert len(world.listing(datasetId=model).json()["refreshes"]) == 1


def test_a_repeat_after_a_failure_for_good_is_told_so(world: World) -> None:
    """424 with the same error, and no new refresh."""
    model = world.model(outcome={"outcome": "Failed"})
    told = world.refreshed(model, idempotencyKey="k")
    again = world.post({"workspaceId": WORKSPACE, "datasetId": model, "idempotencyKey": "k"})
    assert (told.code, again.status_code, again.json()["error"]) == (424, 424, told.body["error"])
    assert next(iter(again.json())) == "error"
    assert len(world.own(model)) == 1


@pytest.mark.parametrize("end", ["transient", "timed out"])
def test_a_repeat_after_an_end_that_may_pass_is_a_new_attempt(world: World, end: str) -> None:
    """A pipeline that runs its activity again sends the same key, and means it."""
    if end == "timed out":
        model = world.model(seconds=4)
        first = world.refreshed(model, idempotencyKey="k", timeoutMinutes=0.02)
    else:
        model = world.model(outcome=[TRANSIENT, "Completed"])
        first = world.refreshed(model, idempotencyKey="k")
    assert (first.code, first.body["error"]["retryable"]) == (424, True)
    second = world.ask(model, idempotencyKey="k")
    assert second["id"] != first.body["id"]
    assert "repeated" not in second
    assert world.follow(second["statusUri"]).code == 200


@pytest.mark.parametrize("key", ["refresh", "workspaceId"])
def test_another_wish_under_the_key_is_a_conflict(world: World, key: str) -> None:
    """409 that names what differs; the request that has the key goes on."""
    model = world.model(seconds=1)
    first = world.ask(model, idempotencyKey="k")
    wish: dict[str, object] = {"workspaceId": WORKSPACE, "datasetId": model, "idempotencyKey": "k"}
    answer = world.post({**wish, key: {"refresh": {"type": "Full"}, "workspaceId": model}[key]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "IdempotencyKeyInUse")
    assert key in answer.json()["error"]["message"]
    assert world.follow(first["statusUri"]).code == 200


def test_of_many_at_the_same_instant_one_wins(world: World) -> None:
    """Two wishes, ten callers: one wish gets the key, its callers one request, and the others are told 409."""
    model = world.model(seconds=1)

    def start(kind: str) -> requests.Response:
        wish = {"datasetId": model, "idempotencyKey": "k", "refresh": {"type": kind}}
        return world.post({"workspaceId": WORKSPACE, **wish})

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(start, ["Full", "DataOnly"] * 5))
    assert Counter(answer.status_code for answer in answers) == {202: 5, 409: 5}
    accepted = [answer.json() for answer in answers if answer.status_code == 202]
    assert len({(told["id"], told["statusUri"], told["cancelUri"]) for told in accepted}) == 1
    assert world.follow(accepted[0]["statusUri"]).code == 200
    assert len(world.own(model)) == 1
    assert len(world.listing(datasetId=model).json()["refreshes"]) == 1


def test_keys_belong_to_a_model(world: World) -> None:
    """Two models, one key, two requests."""
    models = [world.model(), world.model()]
    started = [world.ask(model, idempotencyKey="k") for model in models]
    assert [world.follow(each["statusUri"]).code for each in started] == [200, 200]


def test_a_request_is_cancelled_by_its_key(world: World) -> None:
    """202 while it takes effect; 200 with the status once it is over; 404 for a key that nobody used."""
    model = world.model(outcome="Stuck")
    first = world.ask(model, idempotencyKey="k", refresh={"type": "Full"})
    world.until(first["statusUri"], lambda status: status["refreshId"])
    assert world.cancel_by_key(model, "k").status_code == 202
    told = world.follow(first["statusUri"])
    assert (told.code, told.body["status"]) == (424, "Cancelled")
    again = world.cancel_by_key(model, "k")
    assert (again.status_code, again.json()["status"]) == (200, "Cancelled")
    assert [refresh["cancelRequested"] for refresh in world.own(model)] == [True]
    assert world.cancel_by_key(model, "other").status_code == 404


def test_a_transient_failure_is_tried_again(world: World) -> None:
    """By the request itself, which says meanwhile what it waits for; and not more often than it may."""
    model = world.model(outcome=[TRANSIENT, TRANSIENT, "Completed"])
    started = world.ask(model, retries=2)
    resting = world.until(started["statusUri"], lambda status: status["retry"])
    assert resting["status"] == "Queued"
    assert (resting["retry"]["round"], resting["retry"]["after"]) == (2, "0xC11C0020")
    told = world.follow(started["statusUri"])
    assert (told.code, len(world.own(model))) == (200, 3)

    model = world.model(outcome=[TRANSIENT, TRANSIENT, "Completed"])
    told = world.refreshed(model, retries=1)
    assert (told.code, told.body["error"]["retryable"], len(world.own(model))) == (424, True, 2)


def test_a_failure_for_good_is_not_tried_again(world: World) -> None:
    """Wrong credentials do not mend themselves."""
    model = world.model(outcome={"outcome": "Failed"})
    told = world.refreshed(model, retries=3)
    assert (told.code, len(world.own(model))) == (424, 1)


def test_a_request_at_rest_can_be_cancelled(world: World) -> None:
    """It ends at once, and no refresh is made any more."""
    model = world.model(outcome=[TRANSIENT])
    started = world.ask(model, retries=10)
    world.until(started["statusUri"], lambda status: (status["retry"] or {}).get("round") == 4)
    requests.delete(started["cancelUri"], timeout=30)
    told = world.follow(started["statusUri"])
    assert (told.body["status"], told.body["error"]["code"]) == ("Cancelled", "RequestCancelled")
    assert len(world.own(model)) == 3
