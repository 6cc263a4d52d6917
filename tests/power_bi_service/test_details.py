"""A refresh by id: reading and cancelling it, and the ends that its options cause."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.power_bi_service.world import DATASET, FULL, OTHER, World

Json = dict[str, Any]


def test_details_while_it_runs_and_after() -> None:
    """The status is 202, then 200. Times have no Z. Objects appear as soon as the refresh is in progress."""
    world = World()
    refresh_id = world.start()
    status, details = world.details(refresh_id)
    assert status == 202
    assert details == {
        "startTime": "2026-03-23T13:48:31.017",
        "type": "Full",
        "commitMode": "Transactional",
        "status": "Unknown",
        "extendedStatus": "NotStarted",
        "currentRefreshType": "Full",
        "numberOfAttempts": 0,
        "initiatedBy": "ViaEnhancedApi",
    }
    world.tick(6)
    status, details = world.details(refresh_id)
    assert (status, details["extendedStatus"]) == (202, "InProgress")
    assert [entry["status"] for entry in details["objects"]] == ["Completed", "InProgress"]
    world.tick(4)
    status, details = world.details(refresh_id)
    assert (status, details["status"], details["endTime"]) == (200, "Completed", "2026-03-23T13:48:41.017")
    assert details["objects"][0] == {"table": "Sales", "partition": "Sales-2026", "status": "Completed"}
    assert details["numberOfAttempts"] == 1


def test_the_requested_objects() -> None:
    """A table that was requested without a partition is shown without one."""
    world = World()
    refresh_id = world.start({"type": "full", "objects": [{"table": "T"}, {"table": "U", "partition": "P"}]})
    world.tick(10)
    assert world.details(refresh_id)[1]["objects"] == [
        {"table": "T", "status": "Completed"},
        {"table": "U", "partition": "P", "status": "Completed"},
    ]


def test_a_failure_shows_its_outcome() -> None:
    """A failed refresh has messages with or without a code, objects, and the same exception as in the history."""
    failed = {
        "outcome": "Failed",
        "errorCode": "X",
        "messages": [{"message": "No code.", "type": "Error"}, {"code": "0xC11C0020", "message": "Evicted."}],
        "objects": [{"table": "Sales", "status": "Failed"}],
    }
    world = World(outcome=failed)
    refresh_id = world.start()
    assert "messages" not in world.details(refresh_id)[1]
    world.tick(10)
    status, details = world.details(refresh_id)
    assert (status, details["messages"], details["objects"]) == (200, failed["messages"], failed["objects"])
    assert json.loads(details["serviceExceptionJson"]) == {"errorCode": "X"}


@pytest.mark.parametrize("status", [404, 400])
def test_standard_and_unknown_refreshes_are_unknown_by_id(status: int) -> None:
    """Standard and unknown refreshes can be neither read nor cancelled by id. A knob selects the refusal."""
    world = World(unknownRefreshStatus=status)
    for refresh_id in (world.start({}), OTHER):
        assert world.details(refresh_id)[0] == status
        assert world.cancel(refresh_id).status == status


def test_standard_refreshes_can_be_readable_but_never_cancelled() -> None:
    """With a knob, standard refreshes are read as in the reference of 2026: without the fields of enhanced
    refreshes."""
    world = World(detailsOfStandard=True)
    refresh_id = world.start({})
    status, details = world.details(refresh_id)
    assert (status, set(details)) == (202, {"startTime", "status", "numberOfAttempts", "initiatedBy"})
    assert world.cancel(refresh_id).status == 404


def test_the_other_status_for_running() -> None:
    """A knob selects the status of a running refresh, because Microsoft's documents contradict each other."""
    world = World(detailsRunningStatus="InProgress")
    assert world.details(world.start())[1]["status"] == "InProgress"
    assert world.rows()[0]["status"] == "Unknown"


def test_cancelling_takes_a_while() -> None:
    """A cancellation is answered at once with 200, and takes effect later. A second cancellation does not delay
    this."""
    world = World(cancelSeconds=3)
    refresh_id = world.start()
    response = world.cancel(refresh_id)
    assert (response.status, response.body) == (200, b"")
    world.tick(2)
    assert world.details(refresh_id)[0] == 202
    assert world.cancel(refresh_id).status == 200
    world.tick(1)
    status, details = world.details(refresh_id)
    assert (status, details["status"], details["extendedStatus"]) == (200, "Cancelled", "Cancelled")
    assert details["endTime"] == "2026-03-23T13:48:34.017"
    world.start()


def test_cancelling_may_come_too_late() -> None:
    """A refresh that ends before the cancellation takes effect keeps its own outcome."""
    world = World(cancelSeconds=30)
    refresh_id = world.start()
    assert world.cancel(refresh_id).status == 200
    world.tick(30)
    assert world.details(refresh_id)[1]["status"] == "Completed"


def test_a_finished_refresh_cannot_be_cancelled() -> None:
    """The cancellation of an ended refresh gets 409, with the text that clients search for."""
    world = World()
    refresh_id = world.start()
    world.tick(10)
    response = world.cancel(refresh_id)
    assert response.status == 409
    assert b"cannot be cancelled" in response.body


def test_a_stuck_refresh_can_be_cancelled() -> None:
    """A stuck refresh runs until it is cancelled."""
    world = World(outcome="Stuck")
    refresh_id = world.start()
    world.tick(40 * 86_400)
    assert world.details(refresh_id)[0] == 202
    world.cancel(refresh_id)
    world.tick(1)
    assert world.details(refresh_id)[1]["extendedStatus"] == "Cancelled"


def test_the_timeout_holds_for_each_attempt() -> None:
    """A refresh that exceeds its timeout is repeated as often as its options allow, and then has timed out."""
    world = World(seconds=100)
    refresh_id = world.start({"type": "full", "timeout": "00:00:30", "retryCount": 2})
    world.tick(89)
    assert world.details(refresh_id)[0] == 202
    world.tick(1)
    status, details = world.details(refresh_id)
    assert (status, details["status"], details["extendedStatus"]) == (200, "Failed", "TimedOut")
    assert details["numberOfAttempts"] == 3


@pytest.mark.parametrize(("capacity", "hours"), [("shared", 2), ("premium", 5)])
def test_standard_refreshes_have_a_limit_too(capacity: str, hours: int) -> None:
    """A standard refresh is limited to two hours on shared capacity, and to five hours on other capacities."""
    world = World(capacity=capacity, seconds=86_400)
    world.start({})
    world.tick(hours * 3600 - 1)
    assert world.states() == ["InProgress"]
    world.tick(1)
    assert world.states() == ["TimedOut"]


def test_no_refresh_takes_more_than_a_day() -> None:
    """The limit of a day includes all attempts."""
    world = World(seconds=10 * 86_400)
    world.start({"type": "full", "timeout": "20:00:00", "retryCount": 5})
    world.tick(86_400)
    assert world.states() == ["TimedOut"]


def test_a_request_that_violates_the_refresh_policy_fails_later() -> None:
    """The request is accepted with 202, and fails later with a message without a code."""
    world = World()
    refresh_id = world.start({"type": "full", "commitMode": "partialBatch"})
    world.tick(2)
    status, details = world.details(refresh_id)
    assert (status, details["status"]) == (200, "Failed")
    assert details["messages"][0].keys() == {"message", "type"}
    world.start({"type": "full", "commitMode": "partialBatch", "applyRefreshPolicy": False})
    world.tick(10)
    assert world.states() == ["Failed", "Completed"]


def test_a_user_cancels_or_ends_the_running_refresh() -> None:
    """A refresh of any kind is cancelled or ended at once. The result is None if no refresh is running."""
    world = World(outcome="Stuck")
    assert world.service.cancel(DATASET, world.now) is None
    first = world.start({})
    assert world.service.cancel(DATASET, world.now) == first
    second = world.start(FULL)
    world.tick(5)
    assert world.service.end(DATASET, world.now, {"outcome": "Failed", "errorCode": "X"}) == second
    assert world.states() == ["Cancelled", "Failed"]
    assert world.details(second)[1]["serviceExceptionJson"] == '{"errorCode":"X"}'


def test_a_partial_external_refresh_always_shows_its_objects() -> None:
    """An external refresh of a part shows its objects like a refresh that was requested with objects."""
    world = World()
    dim = {"table": "DimDate", "partition": "DimDate"}
    outcome = {"outcome": "Completed", "objects": [{**dim, "status": "Completed"}]}
    values = {"refreshType": "ViaEnhancedApi", "seconds": 10, "outcome": outcome}
    world.service.add_external(DATASET, values, world.now)
    world.tick(5)
    refresh_id = world.rows()[0]["requestId"]
    assert world.details(refresh_id)[1]["objects"] == [{**dim, "status": "InProgress"}]
    world.tick(10)
    assert world.details(refresh_id)[1]["objects"] == [{**dim, "status": "Completed"}]


def test_undocumented_statuses() -> None:
    """A running and an ended refresh can have undocumented statuses, in the history and by id."""
    outcome = {"outcome": "Cancelled", "status": "Canceled", "extendedStatus": "Odd"}
    world = World(runningStatus="A", detailsRunningStatus="B", runningExtendedStatus="C", outcome=outcome)
    refresh_id = world.start()
    row, (_, details) = world.rows()[0], world.details(refresh_id)
    assert (row["status"], row["extendedStatus"]) == ("A", "C")
    assert (details["status"], details["extendedStatus"]) == ("B", "C")
    world.tick(10)
    row, (_, details) = world.rows()[0], world.details(refresh_id)
    assert (row["status"], row["extendedStatus"]) == ("Canceled", "Odd")
    assert (details["status"], details["extendedStatus"]) == ("Canceled", "Odd")


def test_the_places_of_a_failure_message() -> None:
    """A message can be only in the attempts, or be missing when the refresh is read by id."""
    failed = {"outcome": "Failed", "errorCode": None, "attemptExceptionJson": '{"errorCode":"X"}'}
    world = World(outcome=[failed, "Failed"])
    refresh_id = world.start()
    world.tick(10)
    for row in (world.rows()[0], world.details(refresh_id)[1]):
        assert "serviceExceptionJson" not in row
        assert row["refreshAttempts"][-1]["serviceExceptionJson"] == '{"errorCode":"X"}'
    world.service.set_defaults({"detailsException": False})
    refresh_id = world.start()
    world.tick(10)
    assert "serviceExceptionJson" in world.rows()[0]
    assert "serviceExceptionJson" not in json.dumps(world.details(refresh_id)[1])


@pytest.mark.parametrize(
    ("body", "fails"),
    [
        ({"objects": [{"table": "Sales", "partition": "Sales-2026"}]}, True),
        ({"objects": [{"table": "Sales", "partition": "Sales-2026"}], "applyRefreshPolicy": False}, False),
        ({"objects": [{"table": "DimDate", "partition": "DimDate"}]}, False),
        ({"objects": [{"table": "Sales"}]}, False),
        ({"type": "calculate"}, True),
        ({"type": "defragment", "objects": [{"table": "DimDate"}]}, False),
        ({"type": "clearValues", "applyRefreshPolicy": False}, False),
        ({"effectiveDate": "2026-01-01"}, False),
        ({"effectiveDate": "2026-01-01", "objects": [{"table": "DimDate"}]}, True),
    ],
)
def test_options_that_conflict_with_a_refresh_policy_fail(body: Json, fails: bool) -> None:
    """A request with such options is accepted, and fails two seconds later with a message."""
    world = World(refreshPolicies=["Sales"])
    refresh_id = world.start({"type": "full", **body})
    world.tick(11)
    _, details = world.details(refresh_id)
    assert details["status"] == ("Failed" if fails else "Completed")
    assert bool(details.get("messages")) == fails
