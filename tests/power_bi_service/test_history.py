"""The history: its rows, their order, and how long they stay."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.power_bi_service.world import DATASET, OTHER, REFRESHES, WORKSPACE, World


def test_an_empty_history_is_an_empty_list() -> None:
    """The history of a model that was never refreshed is answered with 200, not 404."""
    response = World().call("GET", REFRESHES)
    assert json.loads(response.body)["value"] == []
    assert response.headers["Content-Type"] == "application/json; odata.metadata=minimal"
    assert json.loads(response.body)["@odata.context"].endswith(f"/groups/{WORKSPACE}/$metadata#refreshes")


def test_rows_of_a_standard_refresh() -> None:
    """A running refresh is Unknown and has no end. The Query phase comes after the Data phase."""
    world = World()
    refresh_id = world.start({})
    running = {"requestId": refresh_id, "refreshType": "ViaApi", "startTime": "2026-03-23T13:48:31.017Z"}
    assert world.rows() == [{**running, "id": 900_000_000, "status": "Unknown"}]
    world.tick(10)
    row = world.rows()[0]
    attempts = row.pop("refreshAttempts")
    assert row == {**running, "id": 900_000_000, "status": "Completed", "endTime": "2026-03-23T13:48:41.017Z"}
    assert attempts == [
        {
            "attemptId": 1,
            "startTime": "2026-03-23T13:48:33.0170000Z",
            "endTime": "2026-03-23T13:48:40.2170000Z",
            "type": "Data",
        },
        {
            "attemptId": 1,
            "startTime": "2026-03-23T13:48:40.2170000Z",
            "endTime": "2026-03-23T13:48:41.0170000Z",
            "type": "Query",
        },
    ]


def test_rows_of_an_enhanced_refresh_have_an_extended_status() -> None:
    """The extended status is NotStarted, InProgress, and finally the same as the status. There is no Query phase."""
    world = World()
    world.start()
    seen = []
    for seconds in (0, 2, 8):
        world.tick(seconds)
        row = world.rows()[0]
        seen.append((row["status"], row["extendedStatus"]))
    assert seen == [("Unknown", "NotStarted"), ("Unknown", "InProgress"), ("Completed", "Completed")]
    assert [attempt["type"] for attempt in row["refreshAttempts"]] == ["Data"]


@pytest.mark.parametrize(
    ("outcome", "status", "extended"),
    [
        ("Completed", "Completed", "Completed"),
        ("Failed", "Failed", "Failed"),
        ("Cancelled", "Cancelled", "Cancelled"),
        ("Disabled", "Disabled", "Disabled"),
        ("TimedOut", "Failed", "TimedOut"),
        ("Stuck", "Unknown", "InProgress"),
    ],
)
def test_every_outcome_as_the_history_shows_it(outcome: str, status: str, extended: str) -> None:
    """Standard refreshes have only the status. A stuck refresh never ends."""
    world = World(outcome=outcome)
    world.start()
    world.tick(86_400)
    row = world.rows()[0]
    assert (row["status"], row["extendedStatus"]) == (status, extended)
    assert ("endTime" in row) == (outcome != "Stuck")
    standard = World(outcome=outcome)
    standard.start({})
    standard.tick(86_400)
    assert standard.rows()[0]["status"] == status
    assert "extendedStatus" not in standard.rows()[0]


@pytest.mark.parametrize(
    ("outcome", "exception"),
    [
        ("Failed", '{"errorCode":"ModelRefreshFailed_CredentialsNotSpecified"}'),
        (
            {"outcome": "Failed", "errorCode": "X", "errorDescription": "It broke."},
            '{"errorCode":"X","errorDescription":"It broke."}',
        ),
        ({"outcome": "Failed", "errorCode": None}, None),
        ({"outcome": "Failed", "serviceExceptionJson": "no JSON at all"}, "no JSON at all"),
        ("Completed", None),
    ],
)
def test_a_failure_carries_json_in_a_text(outcome: object, exception: str | None) -> None:
    """A failed row has a text with JSON, with something that is no JSON, or no text. The text appears only after the
    end. The last attempt has the same text."""
    world = World(outcome=outcome)
    world.start()
    assert "serviceExceptionJson" not in world.rows()[0]
    world.tick(10)
    row = world.rows()[0]
    assert row.get("serviceExceptionJson") == exception
    assert row["refreshAttempts"][-1].get("serviceExceptionJson") == exception


def test_earlier_attempts_failed_with_any_outcome() -> None:
    """Failed attempts are visible while the refresh is still running, and whatever its outcome is."""
    world = World(outcome={"outcome": "Completed", "attempts": 2})
    world.start({})
    world.tick(6)
    row = world.rows()[0]
    assert row["status"] == "Unknown"
    assert [attempt["attemptId"] for attempt in row["refreshAttempts"]] == [1]
    assert "serviceExceptionJson" in row["refreshAttempts"][0]
    world.tick(4)
    attempts = world.rows()[0]["refreshAttempts"]
    assert [(attempt["attemptId"], attempt["type"]) for attempt in attempts] == [(1, "Data"), (2, "Data"), (2, "Query")]
    assert "serviceExceptionJson" not in attempts[1]


@pytest.mark.parametrize(("seconds", "attempts"), [(1, 0), (6, 1), (8, 2)])
def test_a_cancelled_refresh_had_as_many_attempts_as_it_began(seconds: float, attempts: int) -> None:
    """A cancelled refresh has the attempts that it began, and none if it had not started. The last attempt ends with
    the refresh."""
    world = World(outcome={"outcome": "Failed", "attempts": 2})
    world.start()
    world.tick(seconds)
    world.service.cancel(DATASET, world.now)
    row = world.rows()[0]
    attempts_of_row = row.get("refreshAttempts", [])
    assert (row["status"], len(attempts_of_row)) == ("Cancelled", attempts)
    assert not attempts_of_row or attempts_of_row[-1]["endTime"].rstrip("0Z") == row["endTime"].rstrip("0Z")


def test_a_disabled_refresh_ends_as_it_starts() -> None:
    """A disabled refresh ends at its start, and has no attempt."""
    world = World(outcome="Disabled")
    world.start()
    row = world.rows()[0]
    assert (row["status"], row["endTime"]) == ("Disabled", row["startTime"])
    assert "refreshAttempts" not in row


def test_a_quick_refresh_is_not_started_until_its_end() -> None:
    """The time before the start (notStartedSeconds) is a part of the duration, and never longer than the duration."""
    world = World(seconds=1)
    world.start()
    world.tick(1)
    assert len(world.rows()[0]["refreshAttempts"]) == 1


def test_outcomes_come_in_turn_and_the_last_one_stays() -> None:
    """Each model has its own position in the list of outcomes. Setting the knob restarts the list."""
    world = World(outcome=["Failed", {"outcome": "Cancelled", "seconds": 1}, "Completed"])
    for _ in range(4):
        world.start()
        world.tick(10)
    assert world.states() == ["Failed", "Cancelled", "Completed", "Completed"]
    assert world.call("POST", REFRESHES.replace(DATASET, OTHER)).status == 202
    world.tick(10)
    assert world.service.seen(OTHER, world.now)["refreshes"][0]["state"] == "Failed"
    world.service.set_knobs(DATASET, {"outcome": ["Failed", "Completed"]})
    world.start()
    world.tick(10)
    assert world.states()[-1] == "Failed"


def test_the_refreshing_machine_may_have_another_clock() -> None:
    """With a knob, `startTime` in the history is wrong. The refresh itself starts at the right time."""
    world = World(startTimeSkewSeconds=-3, clockSkewSeconds=60)
    refresh_id = world.start()
    world.tick(10)
    row = world.rows()[0]
    assert (row["startTime"], row["endTime"]) == ("2026-03-23T13:49:28.017Z", "2026-03-23T13:49:41.017Z")
    assert world.details(refresh_id)[1]["startTime"] == "2026-03-23T13:49:28.017"


def test_a_new_refresh_shows_late() -> None:
    """A refresh appears in the history up to 15 seconds after its start. Until then it runs, blocks others, and can be
    read by id."""
    world = World(visibilitySeconds=15, seconds=60)
    refresh_id = world.start()
    world.tick(14.999)
    assert world.rows() == []
    assert world.details(refresh_id)[0] == 202
    assert world.call("POST", REFRESHES).status == 400
    world.tick(0.001)
    assert world.rows()[0]["requestId"] == refresh_id


def test_the_seed_decides_on_visibility() -> None:
    """The delay until a refresh appears varies between 0 and 15 seconds, unless a knob sets it. The same seed gives the
    same delays."""

    def delays(seed: int, **knobs: object) -> list[float]:
        world, found = World(seed, **knobs), []
        for _ in range(20):
            world.start()
            entry = world.service.seen(DATASET, world.now)["refreshes"][-1]
            appears, began = (datetime.fromisoformat(entry[key]) for key in ("listedFrom", "startTime"))
            found.append((appears - began).total_seconds())
            world.tick(10)
        return found

    drawn = delays(0, visibilitySeconds=None)
    assert len(set(drawn)) == 20
    assert 0 <= min(drawn) < 5
    assert 10 < max(drawn) <= 15
    assert drawn == delays(0, visibilitySeconds=None)
    assert drawn != delays(1, visibilitySeconds=None)
    assert delays(0, visibilitySeconds=3) == [3] * 20


def test_a_refresh_may_never_show() -> None:
    """With the value "never" of two knobs, a refresh appears neither in the history nor by id."""
    world = World(visibilitySeconds="never", detailsVisibilitySeconds="never")
    refresh_id = world.start()
    world.tick(86_400)
    assert world.rows() == []
    assert world.details(refresh_id)[0] == 404
    assert world.states() == ["Completed"]


def test_newest_first_and_top() -> None:
    """`$top`, even if it is encoded, limits the rows. Anything but a number from 1 is refused."""
    world = World()
    ids = []
    for _ in range(3):
        ids.append(world.start())
        world.tick(10)
    assert [row["requestId"] for row in world.rows()] == ids[::-1]
    assert [row["requestId"] for row in world.rows("?$top=1")] == ids[-1:]
    assert [row["requestId"] for row in world.rows("?%24top=2")] == ids[:0:-1]
    for query in ("?$top=0", "?$top=-1", "?$top=x"):
        assert world.call("GET", REFRESHES + query).status == 400


def test_sixty_rows_at_most_and_twenty_once_they_are_old() -> None:
    """Within three days there are up to 60 rows; of older rows only the newest 20 remain."""
    world = World()
    for _ in range(70):
        newest = world.start()
        world.tick(10)
    assert len(world.rows()) == 60
    assert world.rows()[0]["requestId"] == newest
    world.tick(4 * 86_400)
    assert len(world.rows()) == 20
    world.start()
    assert len(world.rows()) == 20


def test_an_external_refresh_blocks_ours() -> None:
    """Rows of scheduled refreshes and of those from the portal have types of their own."""
    world = World()
    world.service.add_external(DATASET, {"refreshType": "OnDemand", "seconds": 5, "outcome": "Failed"}, world.now)
    assert world.rows()[0]["refreshType"] == "OnDemand"
    assert world.call("POST", REFRESHES).status == 400
    world.tick(5)
    assert world.rows()[0]["status"] == "Failed"
    world.start()


def test_a_future_refresh_starts_by_itself() -> None:
    """An external refresh of the future starts at its own time, not at the time of the call that shows it."""
    world = World()
    world.service.add_external(DATASET, {"startsIn": 30}, world.now)
    world.tick(29)
    assert world.rows() == []
    world.tick(20)
    row = world.rows()[0]
    assert (row["refreshType"], row["startTime"]) == ("Scheduled", "2026-03-23T13:49:01.017Z")
    assert row["status"] == "Completed"


def test_a_scheduled_refresh_waits_for_the_one_that_runs() -> None:
    """A scheduled refresh starts as soon as the running refresh ends, even if that is ended early."""
    world = World(seconds=60)
    world.service.add_external(DATASET, {"startsIn": 5, "seconds": 10}, world.now)
    first = world.start()
    world.tick(30)
    assert len(world.rows()) == 1
    world.cancel(first)
    world.tick(5)
    rows = world.rows()
    assert [row["refreshType"] for row in rows] == ["Scheduled", "ViaEnhancedApi"]
    assert rows[0]["startTime"] == rows[1]["endTime"]


def test_a_refresh_of_the_past_is_history() -> None:
    """With a negative `startsIn`, an external refresh has already ended. Rows are in the order of their starts."""
    world = World()
    world.service.add_external(DATASET, {"startsIn": -3600, "seconds": 60}, world.now)
    world.service.add_external(DATASET, {"startsIn": -7200, "seconds": 60}, world.now)
    assert [row["startTime"] for row in world.rows()] == ["2026-03-23T12:48:31.017Z", "2026-03-23T11:48:31.017Z"]
    world.start()


def test_framings_run_beside_other_refreshes() -> None:
    """By default, a framing of a Direct Lake model neither waits for other refreshes nor blocks them."""
    world = World()
    mine = world.start()
    world.service.add_external(DATASET, {"refreshType": "DirectLakeFraming", "seconds": 100}, world.now)
    assert world.rows()[0]["refreshType"] == "DirectLakeFraming"
    world.tick(10)
    assert world.details(mine)[0] == 200
    world.start()
    world.tick(10)
    world.service.add_external(DATASET, {"refreshType": "DirectLakeFraming", "blocks": True}, world.now)
    assert world.call("POST", REFRESHES).status == 400


def test_xmla_refreshes_have_no_attempts() -> None:
    """The rows of refreshes through XMLA have no attempts, as documented."""
    world = World()
    world.service.add_external(DATASET, {"refreshType": "ViaXmlaEndpoint"}, world.now)
    world.tick(10)
    assert "refreshAttempts" not in world.rows()[0]


@pytest.mark.parametrize(("microseconds", "text"), [(0, ""), (280_000, ".28"), (999_999, ".999")])
def test_fractions_vary(microseconds: int, text: str) -> None:
    """Trailing zeros of the fraction of a second are cut, as in .NET."""
    world = World()
    world.now = world.now.replace(microsecond=microseconds)
    world.start()
    assert world.rows()[0]["startTime"] == f"2026-03-23T13:48:31{text}Z"
