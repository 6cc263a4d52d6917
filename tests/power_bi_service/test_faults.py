"""Faults: the calls that they hit, the answers for the caller, and whether the service carried out the call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev.power_bi.checks import BadControl
from dev.power_bi.faults import ANSWERS, FAULTS
from tests.power_bi_service.world import DATASET, FULL, MODEL, OTHER, REFRESHES, World


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("notAuthorized", 401, "PowerBINotAuthorizedException"),
        ("notAccessible", 403, "API is not accessible for application"),
        ("unauthorized", 401, ""),
        ("notAllowedByTenant", 401, "ServicePrincipalIsNotAllowedByTenantAdminSwitch"),
        ("notAccessibleIn200", 200, "API is not accessible for application"),
        ("forbiddenPage", 403, "<html>"),
        ("tokenExpired", 403, "TokenExpired"),
        ("datasetNotFound", 404, "ItemNotFound"),
        ("capacityNotActive503", 503, "CapacityNotActive"),
        ("directQuery", 400, "DirectQuery"),
        ("throttledWithoutHeader", 429, "Retry in 60 seconds"),
        ("fabricThrottled", 400, "FabricThrottled"),
        ("fabricThrottled429", 429, "FabricThrottled"),
        ("capacityLimitExceeded", 403, "CapacityLimitExceeded"),
        ("tooManyRequestsForCapacity", 430, "TooManyRequestsForCapacity"),
        ("notLicensed", 401, "PowerBINotLicensedException"),
        ("personalWorkspace", 401, "personal workspace"),
        ("proxyPage", 401, "<html>"),
        ("unboundDataSource", 400, "not bound to a gateway"),
        ("redirected", 307, ""),
        ("signInPage", 200, "<html>"),
        ("badGateway", 502, "<html>"),
        ("notFound", 404, "PowerBIEntityNotFound"),
        ("capacityNotActive", 404, "CapacityNotActive"),
        ("notModelBased", 415, "Model-based dataset"),
        ("throttled", 429, "Retry in 60 seconds"),
        ("serverError", 500, "An error has occurred."),
        ("unavailable", 503, ""),
        ("gatewayTimeout", 504, "<html>"),
    ],
)
def test_faults_that_answer(name: str, status: int, message: str) -> None:
    """Each fault answers once in the observed shape, and nothing is started."""
    world = World()
    world.service.add_fault({"fault": name, "route": "start"})
    response = world.call("POST", REFRESHES, FULL)
    assert response.status == status
    assert message in response.body.decode()
    assert bool(response.body) == bool(message)
    assert response.headers["Date"]
    assert world.states() == []
    world.start()


def test_throttling_has_a_pause() -> None:
    """A throttled call gets the header Retry-After with seconds."""
    world = World()
    world.service.add_fault({"fault": "throttled", "seconds": 3392})
    assert world.call("GET", REFRESHES).headers["Retry-After"] == "3392"
    world.service.add_fault({"fault": "throttledWithoutHeader"})
    assert "Retry-After" not in world.call("GET", REFRESHES).headers


def test_a_dropped_connection_before_the_effect() -> None:
    """The connection drops before the call has an effect. The caller cannot know this."""
    world = World()
    world.service.add_fault({"fault": "drop", "route": "start"})
    assert world.call("POST", REFRESHES, FULL).dropped
    assert world.states() == []


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_the_answer_to_an_accepted_refresh_can_be_lost(name: str) -> None:
    """With afterEffect the refresh runs, so a second POST is refused."""
    world = World()
    world.service.add_fault({"fault": name, "route": "start", "afterEffect": True})
    response = world.call("POST", REFRESHES, FULL)
    assert response.dropped or response.status != 202
    assert world.states() == ["NotStarted"]
    assert world.service.report(DATASET, world.now)["accepted"] == 1
    assert world.call("POST", REFRESHES, FULL).status == 400


def test_slow_and_hanging_answers() -> None:
    """A slow answer comes late, a hanging answer never comes."""
    world = World()
    world.service.add_fault({"fault": "slow", "seconds": 7})
    world.service.add_fault({"fault": "hang", "seconds": 90})
    slow, hung = world.call("GET", REFRESHES), world.call("GET", REFRESHES)
    assert (slow.status, slow.delay_seconds, slow.dropped) == (200, 7, False)
    assert (hung.delay_seconds, hung.dropped) == (90, True)


def test_an_accepted_refresh_can_be_dropped() -> None:
    """The answer to the POST is 202 with all headers, but the refresh never appears."""
    world = World()
    world.service.add_fault({"fault": "acceptedButDropped"})
    assert world.rows() == []
    refresh_id = world.start()
    world.tick(60)
    assert world.rows() == []
    assert world.details(refresh_id)[0] == 404
    assert world.service.report(DATASET, world.now)["dropped"] == [refresh_id]
    world.start()


@pytest.mark.parametrize(
    ("route", "method", "path"),
    [
        ("start", "POST", REFRESHES),
        ("history", "GET", REFRESHES),
        ("details", "GET", f"{REFRESHES}/{OTHER}"),
        ("cancel", "DELETE", f"{REFRESHES}/{OTHER}"),
        ("dataset", "GET", MODEL),
    ],
)
def test_a_fault_hits_its_route_only(route: str, method: str, path: str) -> None:
    """A fault of one route leaves all other routes unchanged."""
    world = World()
    world.service.add_fault({"fault": "serverError", "route": route, "count": 5})
    calls = [("POST", REFRESHES), ("GET", REFRESHES), ("GET", f"{REFRESHES}/{OTHER}")]
    calls += [("DELETE", f"{REFRESHES}/{OTHER}"), ("GET", MODEL)]
    hit = [call for call in calls if world.call(*call).status == 500]
    assert hit == [(method, path)]


def test_a_fault_hits_its_model_only() -> None:
    """A fault of one model hits no other. The id of the model is case-insensitive."""
    world = World()
    world.service.add_fault({"fault": "serverError", "datasetId": DATASET.upper()})
    assert world.call("GET", REFRESHES.replace(DATASET, OTHER)).status == 200
    assert world.call("GET", REFRESHES).status == 500


def test_count_and_skip() -> None:
    """The calls in `skip` pass, the next calls in `count` are hit, and all later calls pass."""
    world = World()
    world.service.add_fault({"fault": "serverError", "skip": 1, "count": 2})
    assert [world.call("GET", REFRESHES).status for _ in range(5)] == [200, 500, 500, 200, 200]


def test_probability_comes_from_the_seed() -> None:
    """With a probability, a fault hits calls with this frequency and without a limit. The same seed hits the same
    calls."""

    def statuses(seed: int) -> list[int]:
        world = World(seed)
        world.service.add_fault({"fault": "serverError", "probability": 0.3})
        return [world.call("GET", REFRESHES).status for _ in range(300)]

    first = statuses(1)
    assert 60 < first.count(500) < 120
    assert first == statuses(1)
    assert first != statuses(2)


def test_the_first_matching_fault_decides() -> None:
    """When the first matching fault is used up, the next one applies."""
    world = World()
    for name in ("unavailable", "serverError"):
        world.service.add_fault({"fault": name})
    assert [world.call("GET", REFRESHES).status for _ in range(3)] == [503, 500, 200]


def test_faults_can_be_removed() -> None:
    """All faults are removed together."""
    world = World()
    world.service.add_fault({"fault": "unavailable", "probability": 1})
    world.service.clear_faults()
    assert world.service.faults() == []
    assert world.call("GET", REFRESHES).status == 200


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, '"fault" is missing'),
        ({"fault": "flood"}, '"fault" must be one of'),
        ({"fault": "drop", "route": "back"}, '"route" must be one of'),
        ({"fault": "drop", "datasetId": "sales"}, '"datasetId" must be a GUID'),
        ({"fault": "drop", "count": 0}, '"count" must be a whole number from 1'),
        ({"fault": "drop", "probability": 1.5}, '"probability" must be a number from 0 to 1'),
        ({"fault": "drop", "times": 1}, "unknown key 'times'"),
        ({"fault": "slow", "afterEffect": True}, '"afterEffect" cannot be combined with slow'),
        ({"fault": "acceptedButDropped", "route": "history"}, '"route" must be "start"'),
    ],
)
def test_bad_faults_are_refused(values: dict[str, Any], named: str) -> None:
    """The message names the key."""
    with pytest.raises(BadControl, match=named):
        World().service.add_fault(values)


def test_every_fault_can_be_added_and_is_listed() -> None:
    """A fault is listed as it was added, with the remaining count and the number of calls that it has hit."""
    world = World()
    for name in FAULTS:
        world.service.add_fault({"fault": name})
    listed = world.service.faults()
    assert [entry["fault"] for entry in listed] == list(FAULTS)
    assert json.loads(json.dumps(listed[0])) == {
        "fault": "notAuthorized",
        "route": "any",
        "datasetId": None,
        "left": 1,
        "probability": 1.0,
        "skip": 0,
        "seconds": 0,
        "afterEffect": False,
        "struck": 0,
    }


def test_the_hits_of_a_rule_are_counted() -> None:
    """Calls that a rule let pass do not count as hits."""
    world = World()
    world.service.add_fault({"fault": "unavailable", "route": "history", "skip": 1, "count": 2})
    world.service.add_fault({"fault": "drop", "route": "history", "probability": 0.0})
    for _ in range(5):
        world.call("GET", REFRESHES)
    assert [(rule["struck"], rule["left"]) for rule in world.service.faults()] == [(2, 0), (0, None)]
