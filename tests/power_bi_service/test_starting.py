"""POST of a refresh: what is accepted, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.power_bi_service.world import BEARER, DATASET, FULL, MODEL, OTHER, REFRESHES, WORKSPACE, World


def error(body: bytes) -> tuple[str, str]:
    """Code and message of an error body `{"error": {"code", "message"}}`."""
    error_body = json.loads(body)["error"]
    return error_body["code"], error_body["message"]


def test_a_standard_refresh_is_accepted_with_its_request_id() -> None:
    """The answer is 202 without a body. The history has the same id."""
    world = World()
    response = world.call("POST", REFRESHES)
    assert (response.status, response.body) == (202, b"")
    assert not {"x-ms-request-id", "Location"} & response.headers.keys()
    row = world.rows()[0]
    assert (row["requestId"], row["refreshType"]) == (response.headers["RequestId"], "ViaApi")


def test_an_enhanced_refresh_names_its_id_three_times() -> None:
    """The id is in RequestId, in x-ms-request-id, and at the end of Location, which has the public host."""
    world = World()
    headers = world.call("POST", REFRESHES, FULL).headers
    refresh_id = headers["RequestId"]
    assert headers["x-ms-request-id"] == refresh_id
    assert headers["Location"] == f"https://api.powerbi.com{REFRESHES}/{refresh_id}"
    assert world.rows()[0]["refreshType"] == "ViaEnhancedApi"


@pytest.mark.parametrize(
    ("body", "content_type", "refresh_type"),
    [
        (b"", "application/json", "ViaApi"),
        (b"{}", "application/json", "ViaApi"),
        (b'{"notifyOption":"NoNotification"}', "application/json", "ViaApi"),
        (b'{"retryCount":1}', "application/json; charset=utf-8", "ViaEnhancedApi"),
        (b'{"unheardOf":1}', "APPLICATION/JSON", "ViaEnhancedApi"),
        (b'{"type":"full"}', "text/plain", "ViaApi"),
        (b'{"type":"full"}', "", "ViaApi"),
        (b"notifyOption=MailOnFailure", "application/x-www-form-urlencoded", "ViaApi"),
    ],
)
def test_the_options_of_an_enhanced_refresh(body: bytes, content_type: str, refresh_type: str) -> None:
    """With the content type of JSON, a refresh is enhanced if its body has any key but notifyOption."""
    world = World()
    assert world.call("POST", REFRESHES, body, {"content-type": content_type}).status == 202
    assert world.rows()[0]["refreshType"] == refresh_type


def test_a_missing_content_type_can_be_tolerated() -> None:
    """With the knob strictContentType false, a body without a content type is read as JSON."""
    world = World(strictContentType=False)
    world.call("POST", REFRESHES, FULL, {})
    assert world.rows()[0]["refreshType"] == "ViaEnhancedApi"


def test_an_enhanced_refresh_without_a_type_is_automatic() -> None:
    """An enhanced refresh without a type is Automatic, even if the caller sets only a timeout."""
    world = World()
    _, details = world.details(world.start({"timeout": "01:00:00"}))
    assert (details["type"], details["currentRefreshType"]) == ("Automatic", "Automatic")


def test_values_in_any_case_and_scalars_as_texts() -> None:
    """Values may have any case, and scalars may be texts: Microsoft's own samples contain both."""
    world = World()
    body = {"type": "DATAONLY", "commitMode": "partialbatch", "retryCount": "1", "applyRefreshPolicy": "False"}
    _, details = world.details(world.start(body))
    assert (details["type"], details["commitMode"]) == ("DataOnly", "PartialBatch")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("type", "Add"),
        ("type", 5),
        ("commitMode", "Sometimes"),
        ("timeout", "24:00:00"),
        ("timeout", 60),
        ("retryCount", -1),
        ("retryCount", "many"),
        ("maxParallelism", 1.5),
        ("applyRefreshPolicy", "perhaps"),
        ("objects", "Sales"),
        ("objects", [{"partition": "2026"}]),
        ("notifyOption", "Shout"),
    ],
)
def test_invalid_options_are_refused(key: str, value: object) -> None:
    """The answer is 400 InvalidRequest and names the key."""
    response = World().call("POST", REFRESHES, {"type": "full", key: value})
    code, message = error(response.body)
    assert (response.status, code) == (400, "InvalidRequest")
    assert f"Property {key} " in message


@pytest.mark.parametrize("body", [{"type": "FULL"}, {"type": "Full", "retryCount": "1"}])
def test_strict_enums_are_case_sensitive(body: object) -> None:
    """With the knob strictEnums, values in another case are refused."""
    assert World(strictEnums=True).call("POST", REFRESHES, body).status == 400


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"full"'])
def test_a_body_that_is_not_an_object_is_refused(body: bytes) -> None:
    """A body that is not a JSON object gets 400."""
    assert World().call("POST", REFRESHES, body).status == 400


def test_apps_get_no_mails() -> None:
    """A notifyOption that sends emails gets 400 for an app, but is accepted for a user."""
    body = {"notifyOption": "MailOnFailure"}
    response = World().call("POST", REFRESHES, body)
    assert error(response.body)[1] == "Invalid NotifyOption value 'MailOnFailure' for app only owner requests"
    assert World(appOnly=False).call("POST", REFRESHES, body).status == 202


@pytest.mark.parametrize("status", [400, 409])
def test_a_second_refresh_is_refused_while_one_runs(status: int) -> None:
    """The message is that for which clients search. As soon as the first refresh ends, the next may start."""
    world = World(conflict=status)
    world.start()
    world.tick(9.999)
    response = world.call("POST", REFRESHES, FULL)
    assert response.status == status
    expected = "Invalid dataset refresh request. Another refresh request is already executing"
    assert error(response.body) == ("InvalidRequest", expected)
    world.tick(0.001)
    world.start()
    assert world.states() == ["Completed", "NotStarted"]


def test_models_do_not_block_each_other() -> None:
    """A running refresh blocks only its own model."""
    world = World()
    world.start()
    assert world.call("POST", REFRESHES.replace(DATASET, OTHER), FULL).status == 202


def test_a_burst_runs_one_queues_one_and_drops_the_rest() -> None:
    """All POSTs are accepted. The queued refresh starts when the first has ended; the others never appear."""
    world = World(conflict="queue")
    first, second, third = (world.start() for _ in range(3))
    world.tick(11)
    assert world.states() == ["Completed", "NotStarted"]
    world.tick(2)
    assert world.states() == ["Completed", "InProgress"]
    world.tick(7)
    assert world.states() == ["Completed", "Completed"]
    assert {row["requestId"] for row in world.rows()} == {first, second}
    assert world.details(third)[0] == 404
    assert world.service.report(DATASET, world.now)["dropped"] == [third]


def test_a_queue_that_never_empties() -> None:
    """Queued refreshes begin one after the other, each when the previous one ends, no matter how many there are."""
    world = World(conflict="queue")
    world.start()
    for _ in range(100):
        world.start()
        world.tick(10)
    assert world.states() == ["Completed"] * 100 + ["NotStarted"]
    assert world.rows()[1]["endTime"] == "2026-03-23T14:05:11.017Z"


def test_a_queued_refresh_moves_up_when_the_first_is_cancelled() -> None:
    """A queued refresh begins when the cancelled refresh before it really ends."""
    world = World(conflict="queue")
    first, _ = world.start(), world.start()
    world.cancel(first)
    world.tick(11)
    assert world.states() == ["Cancelled", "Completed"]


@pytest.mark.parametrize("status", [400, 429])
def test_shared_capacity_refreshes_eight_times_in_24_hours(status: int) -> None:
    """A ninth refresh in 24 hours is refused. Scheduled refreshes count; refreshes from the portal do not."""
    world = World(capacity="shared", dailyLimitStatus=status)
    for refresh_type in ("Scheduled", "OnDemand"):
        world.service.add_external(DATASET, {"refreshType": refresh_type}, world.now)
        world.tick(10)
    for _ in range(7):
        world.start({})
        world.tick(60)
    response = world.call("POST", REFRESHES)
    assert response.status == status
    assert "Number of refresh requests in last 24 hours exceeded limit" in error(response.body)[1]
    world.now += timedelta(days=1) - timedelta(minutes=7)
    world.start({})


def test_shared_capacity_has_no_enhanced_refreshes() -> None:
    """An enhanced refresh on shared capacity gets 400."""
    world = World(capacity="shared")
    assert world.call("POST", REFRESHES, FULL).status == 400
    assert world.call("POST", REFRESHES, {"notifyOption": "NoNotification"}).status == 202


@pytest.mark.parametrize("name", ["RequestId", "x-ms-request-id", "Location"])
def test_headers_of_an_acceptance_can_be_missing(name: str) -> None:
    """The knob dropHeaders removes one of the headers; the other two stay."""
    headers = World(dropHeaders=[name]).call("POST", REFRESHES, FULL).headers
    assert {"RequestId", "x-ms-request-id", "Location"} - headers.keys() == {name}


def test_a_refresh_over_the_api_may_be_recorded_as_framing() -> None:
    """The history of a model in Direct Lake mode shows an enhanced refresh as a framing."""
    world = World(recordedAs="DirectLakeFraming")
    refresh_id = world.start()
    assert world.rows()[0]["refreshType"] == "DirectLakeFraming"
    assert world.cancel(refresh_id).status == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic x"}, {"authorization": "Bearer "}])
def test_a_call_without_a_token_is_refused(headers: dict[str, str]) -> None:
    """The answer is an empty 403, and nothing starts."""
    world = World()
    response = world.call("POST", REFRESHES, FULL, {"Authorization": "", **headers})
    assert (response.status, response.body) == (403, b"")
    assert world.states() == []


def test_a_model_can_be_unknown() -> None:
    """A model is unknown if its knob `exists` is false, or if it has no such knob and the default is false."""
    world = World(exists=False)
    for method, path in (("GET", MODEL), ("GET", REFRESHES), ("POST", REFRESHES)):
        response = world.call(method, path)
        assert response.status == 404
        body: Any = json.loads(response.body)["error"]
        assert (body["code"], body["pbi.error"]["code"]) == ("PowerBIEntityNotFound", "PowerBIEntityNotFound")
        assert "message" not in body
    world.service.set_knobs(DATASET, {"exists": True})
    assert world.call("GET", REFRESHES).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1.0/myorg/groups", 404),
        ("PATCH", REFRESHES, 404),
        ("DELETE", REFRESHES, 404),
        ("DELETE", f"{REFRESHES}/937844652", 404),
        ("GET", f"{MODEL}/{OTHER}", 404),
        ("GET", f"/v1.0/myorg/groups/{WORKSPACE}/datasets/sales/refreshes", 404),
        ("POST", f"/v1.0/myorg/datasets/{DATASET}/refreshes", 403),
    ],
)
def test_other_paths_are_refused(method: str, path: str, status: int) -> None:
    """Other paths get 404, or 403 in My workspace. The integer `id` of a row is not a valid address."""
    response = World().call(method, path)
    assert response.status == status
    assert response.headers["RequestId"]


def test_ids_may_be_in_upper_case() -> None:
    """GUIDs are case-insensitive."""
    world = World()
    refresh_id = world.start()
    assert world.call("GET", f"{REFRESHES.upper().replace('V1.0', 'v1.0')}/{refresh_id.upper()}").status == 202


def test_the_dataset_of_a_model() -> None:
    """The route of the dataset returns the model."""
    response = World().call("GET", MODEL)
    assert response.status == 200
    assert json.loads(response.body)["id"] == DATASET


def test_models_and_workspaces_have_names() -> None:
    """A name is derived from the id by default, or set by a knob."""
    model, workspace = World().call("GET", MODEL), World().call("GET", f"/v1.0/myorg/groups/{WORKSPACE}")
    assert json.loads(model.body)["name"] == f"Model {DATASET[:8]}"
    assert json.loads(workspace.body)["name"] == f"Workspace {WORKSPACE[:8]}"
    assert json.loads(World(name="Sales").call("GET", MODEL).body)["name"] == "Sales"


def test_every_answer_has_the_services_clock_and_a_request_id_of_its_own() -> None:
    """Refusals also have the service's clock and a request id. If the clock is set to be wrong, all times are wrong."""
    world = World(clockSkewSeconds=-90)
    first, second = world.call("GET", "/nowhere"), world.call("GET", REFRESHES)
    assert first.headers["Date"] == second.headers["Date"] == "Mon, 23 Mar 2026 13:47:01 GMT"
    assert first.headers["RequestId"] != second.headers["RequestId"]
    world.start()
    assert world.rows()[0]["startTime"] == "2026-03-23T13:47:01.017Z"


def test_naive_times_are_refused() -> None:
    """A time without a time zone is an error of the caller."""
    world = World()
    world.now = world.now.replace(tzinfo=None)
    with pytest.raises(ValueError, match="aware"):
        world.call("GET", REFRESHES, headers=BEARER)


def test_a_conflict_with_another_message() -> None:
    """A knob sets the message of a conflict, because it is not documented."""
    world = World(conflictMessage="A refresh is already in progress", conflict=409)
    world.start()
    response = world.call("POST", REFRESHES, FULL)
    assert response.status == 409
    assert json.loads(response.body)["error"]["message"] == "A refresh is already in progress"
