"""The HTTP contract: the shapes of answers, and that invalid input starts nothing."""

import time
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.e2e.world import CALL_SECONDS, LONG, WORKSPACE, World

MODEL = "22222222-aaaa-bbbb-cccc-000000000bad"
ELSEWHERE = "11111111-aaaa-bbbb-cccc-000000000bad"
GOOD = {"workspaceId": ELSEWHERE, "datasetId": MODEL}
"""Ids that no other test uses. So any request for one of them was started by invalid input."""
BAD: dict[str, tuple[object, str]] = {
    "no JSON": (b"{", "body"),
    "nothing": (b"", "body"),
    "an array": ([GOOD], "body"),
    "a number": (5, "body"),
    "a megabyte": ({**GOOD, "caller": {"a": "x" * 1_000_000}}, "body"),
    "no dataset": ({"workspaceId": ELSEWHERE}, "datasetId"),
    "a dataset that is not a GUID": ({**GOOD, "datasetId": "sales"}, "datasetId"),
    "a dataset like a path": ({**GOOD, "datasetId": f"{MODEL}/../../admin"}, "datasetId"),
    "a workspace of another type": ({**GOOD, "workspaceId": 7}, "workspaceId"),
    "an unknown key": ({**GOOD, "dataset": MODEL}, "dataset"),
    "an option of another type": ({**GOOD, "refresh": {"maxParallelism": "many"}}, "refresh.maxParallelism"),
    "an unknown option": ({**GOOD, "refresh": {"kind": "full"}}, "refresh.kind"),
    "a negative time": ({**GOOD, "timeoutMinutes": -1}, "timeoutMinutes"),
    "share as text": ({**GOOD, "share": "yes"}, "share"),
    "a caller that is not an object": ({**GOOD, "caller": "me"}, "caller"),
    "a caller that breaks durable values": ({**GOOD, "caller": {"$type": "x"}}, "caller.$type"),
    "a caller that names a class": ({**GOOD, "caller": {"__class__": "x"}}, "caller.__class__"),
    "a cancellation that is not possible": ({**GOOD, "onTimeout": "cancel"}, "onTimeout"),
    "too many retries": ({**GOOD, "retries": 11}, "retries"),
    "half a retry": ({**GOOD, "retries": 0.5}, "retries"),
    "an empty key": ({**GOOD, "idempotencyKey": ""}, "idempotencyKey"),
    "a key of two lines": ({**GOOD, "idempotencyKey": "a\nb"}, "idempotencyKey"),
    "a key that is a number": ({**GOOD, "idempotencyKey": 7}, "idempotencyKey"),
    "a wait of another type": ({**GOOD, "waitSeconds": "soon"}, "waitSeconds"),
    "a time as a text that is not a number": ({**GOOD, "timeoutMinutes": "1e3"}, "timeoutMinutes"),
    "retries as a fraction in a text": ({**GOOD, "retries": "1.5"}, "retries"),
    "a wait that no platform allows": ({**GOOD, "waitSeconds": 201}, "waitSeconds"),
    "callBackUri": ({**GOOD, "callBackUri": "https://example.net"}, "callBackUri"),
}


def send(world: World, body: object) -> requests.Response:
    """Sends a POST with bytes or with JSON."""
    url = f"{world.app}/api/refreshes"
    if isinstance(body, bytes):
        return requests.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=30)
    return requests.post(url, json=body, timeout=30)


def started_by_bad_input(world: World) -> list[str]:
    """The requests for the ids of this test, among all requests."""
    found: list[str] = []
    page: dict[str, Any] = {"continuation": ""}
    while page["continuation"] is not None:
        page = world.listing(continuation=page["continuation"]).json()
        found += [row["id"] for row in page["refreshes"] if ELSEWHERE in row.values() or MODEL in row.values()]
    return found


@pytest.mark.parametrize("name", BAD)
def test_bad_input_starts_nothing(world: World, name: str) -> None:
    """The answer is 400 with the invalid key, and no orchestration was started."""
    body, target = BAD[name]
    answer = send(world, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["target"]) == (400, target)
    assert error["message"].endswith(".")
    assert len(error["message"]) <= 500
    assert started_by_bad_input(world) == []


def test_two_different_keys_are_refused(world: World) -> None:
    """Different keys in header and body name two different requests."""
    url = f"{world.app}/api/refreshes"
    answer = requests.post(url, json={**GOOD, "idempotencyKey": "a"}, headers={"Idempotency-Key": "b"}, timeout=30)
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, "idempotencyKey")
    assert started_by_bad_input(world) == []


def test_the_answer_to_a_start(world: World) -> None:
    """A start is answered with a 202 of less than 4 KB, with Location, Retry-After, and a token for each purpose."""
    answer = world.post({"workspaceId": WORKSPACE.upper(), "datasetId": world.model()})
    body = answer.json()
    assert answer.status_code == 202
    assert len(answer.content) < 4096
    assert set(body) == {"id", "status", "statusUri", "cancelUri", "statusQueryGetUri"}
    assert answer.headers["Location"] == body["statusUri"] == body["statusQueryGetUri"]
    assert int(answer.headers["Retry-After"]) >= 1
    tokens = {parse_qs(urlsplit(body[uri]).query)["token"][0] for uri in ("statusUri", "cancelUri")}
    assert len(tokens) == 2
    assert min(map(len, tokens)) >= 32


def test_a_start_is_quick_and_small_whatever_power_bi_does(world: World) -> None:
    """Power BI is not called before the answer, so the answer comes while Power BI hangs, even with the largest
    `caller`.

    The quickest of several starts takes much less time than a call of Power BI.
    """
    model, hang_seconds = world.model(), 20
    world.fault(model, "hang", "any", seconds=hang_seconds)
    took = []
    for _ in range(5):
        began = time.monotonic()
        answer = world.start(model, caller={"a": "x" * 1000})
        took.append(time.monotonic() - began)
        assert answer.status_code == 202
        assert len(answer.content) < 4096
    assert min(took) < hang_seconds / 4


def test_numbers_and_booleans_may_be_texts(world: World) -> None:
    """Pipelines send parameters as text. A number and its text are the same option, so a key can be used with both."""
    model = world.model(outcome=["Failed", "Completed"])
    keys = {"timeoutMinutes": 5, "share": False, "retries": 0, "waitSeconds": 0, "idempotencyKey": "k"}
    options = {"maxParallelism": 2, "retryCount": 1, "applyRefreshPolicy": False}
    started = world.ask(model, **keys, refresh=options)
    texts = {key: str(value) for key, value in keys.items()}
    answer = world.start(model, **texts, refresh={key: str(value) for key, value in options.items()})
    assert (answer.status_code, answer.json()["id"]) in ((202, started["id"]), (424, started["id"]))
    world.follow(started["statusUri"])
    (refresh,) = world.own(model)
    assert refresh["body"] == {"type": "Full", **options}


def test_the_status_has_the_shape_of_durable(world: World) -> None:
    """Tools that poll Durable status URLs work: 202 while the request runs; at the end code, status and output."""
    model = world.model(seconds=LONG)
    started = world.ask(model, caller={"pipeline": "Load sales"})
    answer = requests.get(started["statusQueryGetUri"], timeout=CALL_SECONDS)
    first = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, started["statusUri"])
    assert int(answer.headers["Retry-After"]) >= 1
    world.until(started["statusUri"], lambda status: status["status"] == "Refreshing")
    world.end(model)
    result = world.follow(started["statusQueryGetUri"])
    last = result.body
    assert first["runtimeStatus"] in ("Pending", "Running")
    assert first["output"] is None
    for key in ("instanceId", "runtimeStatus", "customStatus", "output", "createdTime", "lastUpdatedTime"):
        assert all(key in body for body in result.seen)
    assert (result.code, last["runtimeStatus"], last["output"]["status"]) == (200, "Completed", "Completed")
    assert last["output"]["refreshId"] == last["refreshId"]
    assert last["instanceId"] == last["id"] == started["id"]
    assert last["caller"] == {"pipeline": "Load sales"}


def test_unknown_values_are_left_out(world: World) -> None:
    """No key of a status is null, except the keys of Durable's own status, which its pollers read."""
    for outcome in ("Completed", "Failed"):
        result = world.refresh(world.model(outcome=outcome))
        for body in result.seen:
            nothing = {key for key, value in body.items() if value is None}
            assert nothing <= {"customStatus", "output", "lastUpdatedTime"}
            assert "caller" not in body


def test_a_failure_has_the_shape_of_durable(world: World) -> None:
    """The answer to a poll is 424 with the runtime status Failed. The error appears only once, at its beginning."""
    result = world.refresh(world.model(outcome="Failed"))
    body = result.body
    assert (result.code, body["runtimeStatus"], body["output"]["status"]) == (424, "Failed", "Failed")
    assert next(iter(body)) == "error"
    assert "error" not in body["output"]
    assert result.final is not None
    assert result.final.text.count(body["error"]["message"]) == 1


@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=%00%ff"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_wrong_token_gives_no_access(world: World, method: str, token: str) -> None:
    """A wrong token gets a 404, just like an unknown id."""
    started = world.ask(world.model())
    answer = requests.request(method, started["statusUri"].split("?")[0] + token, timeout=30)
    unknown = requests.request(method, f"{world.app}/api/refreshes/{uuid.uuid4().hex}{token}", timeout=30)
    assert answer.status_code == unknown.status_code == 404
    assert answer.json() == unknown.json()
    assert world.follow(started["statusUri"]).code == 200


def test_the_read_token_does_not_cancel(world: World) -> None:
    """A cancellation with the read token gets a 403 that names the right URI. The cancel token does not read the
    status."""
    started = world.ask(world.model())
    answer = requests.delete(started["statusUri"], timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "TokenOnlyReads")
    message = answer.json()["error"]["message"]
    assert "cancelUri" in message
    assert f"POST to {world.app}/api/refreshes/{started['id']}/cancel." in message
    assert "token=" not in message
    assert requests.get(started["cancelUri"], timeout=30).status_code == 404
    assert world.follow(started["statusUri"]).code == 200


@pytest.mark.parametrize("path", ["..%2f..%2fadmin", "@dataset_queue@x", "a" * 300, "%00", "x'or'1"])
def test_an_odd_id_is_unknown(world: World, path: str) -> None:
    """An id in the path is looked up or refused, whatever characters it has. Some hosts refuse %00 themselves."""
    answer = requests.get(f"{world.app}/api/refreshes/{path}?token=x", timeout=30)
    assert answer.status_code == 404 or (path, answer.status_code) == ("%00", 400)


def test_requests_are_listed(world: World) -> None:
    """Filters by dataset, status and time apply; no row has a token."""
    model = world.model(outcome=["Completed", "Failed"])
    good, bad = world.refresh(model), world.refresh(model, caller={"pipeline": "p"})

    def listed(**filters: str) -> list[dict[str, Any]]:
        return list(world.listing(datasetId=model, **filters).json()["refreshes"])

    rows = listed()
    assert [row["id"] for row in rows] == [bad.body["id"], good.body["id"]]
    assert rows[0]["caller"] == {"pipeline": "p"}
    assert rows[0]["error"] == bad.body["error"]
    assert [row["id"] for row in listed(status="failed,outcomeunknown")] == [bad.body["id"]]
    assert listed(since=bad.body["requestedAt"][:19] + "Z")[0]["id"] == bad.body["id"]
    assert listed(since="2999-01-01T00:00:00Z") == []
    token = parse_qs(urlsplit(good.started.url).query)["token"][0]
    assert token not in world.listing(datasetId=model).text


@pytest.mark.parametrize(
    ("name", "value"), [("datasetId", "x"), ("since", "yesterday"), ("status", "Done"), ("top", "5")]
)
def test_a_bad_filter_is_named(world: World, name: str, value: str) -> None:
    """A list with an invalid filter gets a 400 that names the filter, instead of rows that are not filtered."""
    answer = world.listing(**{name: value})
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, name)


def test_a_queue_shows_runs_and_their_callers(world: World) -> None:
    """The answer has the active run with the reason why it waits, the queue behind it, all callers, and no token."""
    model = world.model(seconds=LONG)
    world.external(model)
    first = world.ask(model, caller={"pipeline": "one"})
    world.until(first["statusUri"], lambda status: status.get("waitsFor"))
    second = world.ask(model, share=False, caller={"pipeline": "two"})
    world.until(second["statusUri"], lambda status: "position" in status)
    queue = world.queue_when(model, lambda queue: queue["waiting"] == 2 and (queue["active"] or {}).get("waitsFor"))
    assert queue["active"]["status"] == "WaitingForIdle"
    assert queue["active"]["waitsFor"]["refreshType"] == "Scheduled"
    assert queue["active"]["waitsSince"]
    assert [request["caller"] for request in queue["active"]["requests"]] == [{"pipeline": "one"}]
    assert [(run["status"], run["requests"][0]["id"]) for run in queue["queue"]] == [("Queued", second["id"])]
    assert "token" not in world.queue(model).text
    world.end(model)
    world.until(first["statusUri"], lambda status: status["status"] == "Refreshing")
    active = world.queue_when(model, lambda queue: (queue["active"] or {}).get("refreshId"))["active"]
    assert active["refreshId"] == world.own(model)[0]["requestId"]
    for started in (first, second):
        world.until(started["statusUri"], lambda status: status["status"] == "Refreshing")
        world.end(model)
        assert world.follow(started["statusUri"]).code == 200
    empty = world.queue_when(model, lambda queue: queue["active"] is None)
    assert (empty["datasetId"], empty["waiting"], empty["queue"]) == (model, 0, [])


def test_a_queue_of_an_invalid_id_is_refused(world: World) -> None:
    """The error names the parameter."""
    answer = world.queue("sales")
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, "datasetId")
