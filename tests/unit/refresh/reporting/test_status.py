"""The status of a request: one JSON object of one shape, green only for success, red for every other end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from refresh.failure.catalogue import failure
from refresh.queue.state import Queue
from refresh.reporting.status import ENDS, STATUSES, Instance, Report, report, summary
from refresh.request.spec import Scope, Wish
from refresh.request.state import RequestState
from tests.unit.refresh.queue.queues import Desk

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
MODEL = "00000000-1111-2222-3333-444444444444"
WISH = Wish(MODEL, Scope("w"), caller={"pipeline": "Nightly"})
STATE = RequestState(WISH, "token-of-life", "token-to-read", "token-to-cancel", "2026-03-31T12:00:00.000Z")
KEYS = {
    "id", "status", "workspaceId", "datasetId", "caller", "position", "runId", "refreshId", "sharedWith", "servedBy",
    "requestedAt", "startedAt", "endedAt", "expectedEnd", "progress", "waitsFor", "lastReadError", "retry",
    "instanceId", "runtimeStatus", "customStatus", "output", "createdTime", "lastUpdatedTime",
}  # fmt: skip


def told(
    status: str = "Running",
    custom: dict[str, Any] | None = None,
    *,
    queue: Queue | None = None,
    run: dict[str, Any] | None = None,
    output: object = None,
    now: datetime = NOON,
) -> Report:
    """The report on request `a`, checked for what every report has."""
    instance = Instance("a", status, custom or {}, output, "2026-03-31T12:34:56.000Z")
    told = report(instance, STATE, queue or Queue(), run or {}, now)
    body = told.body
    assert set(body) - {"error"} == KEYS
    assert body["status"] in STATUSES
    assert (told.http_status == 202) is (told.retry_after is not None) is (body["status"] not in ENDS)
    assert (told.http_status == 200) is (body["status"] == "Completed")
    assert (told.http_status == 424) is ("error" in body)
    if "error" in body:
        assert next(iter(body)) == "error"
    assert "token" not in repr(body)
    assert (body["id"], body["instanceId"]) == ("a", "a")
    assert (body["requestedAt"], body["createdTime"]) == (STATE.requested_at, STATE.requested_at)
    return told


@pytest.mark.parametrize("status", ["Pending", "Running", "Suspended", "ContinuedAsNew"])
def test_a_request_that_nobody_has_seen_yet_is_queued(status: str) -> None:
    """Its orchestration has not had its first turn."""
    body = told(status).body
    assert (body["status"], body["runtimeStatus"], body["customStatus"]) == ("Queued", status, {"status": "Queued"})
    assert body["output"] is None


def test_the_queue_tells_how_a_request_stands() -> None:
    """It is newer than what the request said of itself."""
    desk = Desk()
    desk.posted("other", "another")
    desk.enroll("a")
    body = told(custom={"status": "WaitingForIdle", "position": 5}, queue=desk.queue).body
    assert (body["status"], body["position"], body["runId"], body["sharedWith"]) == ("Queued", 1, "a-r1", 0)
    assert body["waitsFor"]["refreshId"] == "r"
    desk.finish("other-r1")
    waits = {"refreshId": "theirs", "refreshType": "Scheduled", "startedAt": None}
    desk.run("claim", "a-r1")
    desk.run("wait_behind", "a-r1", behind=waits)
    assert body["expectedEnd"] is None
    body = told(queue=desk.queue, run={"lastReadError": "HTTP 503"}).body
    assert (body["status"], body["position"], body["waitsFor"]) == ("WaitingForIdle", 0, waits)
    assert body["lastReadError"] == "HTTP 503"
    desk.run("claim", "a-r1")
    desk.close("a-r1")
    desk.record("a-r1")
    run = {"expectedEnd": "2026-03-31T18:00:00.000Z", "progress": {"objects": 3}}
    body = told(queue=desk.queue, run=run).body
    assert (body["status"], body["refreshId"], body["startedAt"]) == ("Refreshing", "r", desk.queue.runs[0].posted_at)
    assert {key: body[key] for key in run} == run


def test_without_the_queue_the_last_standing_is_shown() -> None:
    """Between the end of the run and the request's own end."""
    body = told(custom={"status": "Refreshing", "refreshId": "r", "position": 0}).body
    assert (body["status"], body["refreshId"]) == ("Refreshing", "r")


@pytest.mark.parametrize("engine", ["Running", "Completed"])
def test_success_is_the_only_green(engine: str) -> None:
    """From the moment it is known, also if the engine is still writing it down."""
    ending = {"status": "Completed", "refreshId": "r", "runId": "a-r1", "servedBy": "own", "sharedWith": 1}
    shown = told(engine, {**ending, "endedAt": "2026-03-31T12:30:00.000Z"}, output=ending)
    assert shown.http_status == 200
    body = shown.body
    assert (body["runtimeStatus"], body["customStatus"], body["servedBy"]) == ("Completed", None, "own")
    assert body["output"] == {**ending, "endedAt": "2026-03-31T12:30:00.000Z"}
    assert body["endedAt"] == "2026-03-31T12:30:00.000Z"


@pytest.mark.parametrize("engine", ["Running", "Failed"])
@pytest.mark.parametrize("status", [end for end in ENDS if end != "Completed"])
def test_every_other_end_is_red(status: str, engine: str) -> None:
    """For pollers of our status and of Durable's alike."""
    error = failure("RefreshFailed", MODEL)
    shown = told(engine, {"status": status, "error": error, "refreshId": None}, output="text of the engine")
    assert shown.http_status == 424
    assert shown.body["error"] == error
    assert shown.body["runtimeStatus"] == ("Terminated" if status == "Terminated" else "Failed")
    assert shown.body["output"] == {"status": status, "error": error}


@pytest.mark.parametrize("status", ["Terminated", "Canceled"])
def test_a_terminated_request_says_so(status: str) -> None:
    """With the reason that was given by hand."""
    body = told(status, {"status": "Refreshing", "refreshId": "r"}, output="maintenance tonight").body
    assert (body["status"], body["runtimeStatus"]) == ("Terminated", "Terminated")
    assert body["error"]["code"] == "RequestTerminated"
    assert "maintenance tonight" in body["error"]["message"]
    assert body["endedAt"] == "2026-03-31T12:34:56.000Z"


@pytest.mark.parametrize("status", ["Failed", "Completed"])
def test_an_end_that_says_nothing_of_itself_is_a_fault_of_ours(status: str) -> None:
    """Never a success."""
    body = told(status, {"status": "Refreshing"}, output="Orchestrator function failed").body
    assert (body["status"], body["error"]["code"], body["error"]["retryable"]) == ("Failed", "InternalError", True)
    assert body["runtimeStatus"] == "Failed"


@pytest.mark.parametrize(("age", "seconds"), [(0, 5), (300, 30), (86_400, 60), (-30, 5)])
def test_the_longer_it_takes_the_less_often_it_is_worth_to_ask(age: float, seconds: int) -> None:
    """In whole seconds, as the header wants them."""
    assert told(now=NOON + timedelta(seconds=age)).retry_after == seconds


def test_a_list_shows_what_each_request_knows_of_itself() -> None:
    """Without asking anybody else; without tokens."""
    running = summary(Instance("a", "Running", {"status": "Refreshing", "refreshId": "r"}, None, None), STATE)
    assert (running["status"], running["refreshId"], running["endedAt"]) == ("Refreshing", "r", None)
    assert summary(Instance("a", "Pending", {}, None, None), STATE)["status"] == "Queued"
    ended = summary(Instance("a", "Terminated", {"status": "Queued"}, "by hand", "2026-03-31T13:00:00.000Z"), STATE)
    assert (ended["status"], ended["endedAt"]) == ("Terminated", "2026-03-31T13:00:00.000Z")
    assert ended["error"]["code"] == "RequestTerminated"
    assert "token" not in repr([running, ended])
    assert running["caller"] == {"pipeline": "Nightly"}
