"""The status of a request is one JSON object of one shape, with 200 only for success and 424 for other outcomes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable.codec import encode
from refresh.capacity.answers import WaitsForPlace
from refresh.failure.catalogue import failure
from refresh.history.look import ExternalRefresh
from refresh.history.progress import Progress
from refresh.queue.state import Queue
from refresh.reporting.model_history import active_of
from refresh.reporting.status import (
    ENDS,
    STATUSES,
    Json,
    Live,
    StatusReport,
    final_report,
    live_by_queue,
    live_by_run,
    report,
    summary,
)
from refresh.request.spec import RequestSpec
from refresh.request.state import Final, RequestOutcome, RequestState, Retry, Standing
from refresh.request.stored import StoredRequest
from refresh.run.status import RunStatus
from refresh.scope.scope import Scope
from tests.unit.refresh.queue.queues import CheckedQueue

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
MODEL = "00000000-1111-2222-3333-444444444444"
STATE = RequestState(
    spec=RequestSpec(dataset_id=MODEL, scope=Scope(workspace_id="w"), caller={"pipeline": "Nightly"}),
    token="token-of-the-incarnation",
    read_token="token-to-read",
    cancel_token="token-to-cancel",
    requested_at="2026-03-31T12:00:00.000Z",
)
OF_DURABLE = ["instanceId", "runtimeStatus", "customStatus", "output", "createdTime", "lastUpdatedTime"]
BLOCKER = ExternalRefresh(refresh_id="theirs", refresh_type="Scheduled")


def request(outcome: RequestOutcome | None = None, engine: str = "Running", **more: Any) -> StoredRequest:
    """A stored request."""
    return StoredRequest(
        id="a", engine_status=engine, state=STATE, outcome=outcome, updated="2026-03-31T12:34:56.000Z", **more
    )


def checked_report(stored: StoredRequest, live: Live | None = None, now: datetime = NOON) -> StatusReport:
    """The report on a request, with checks for every report."""
    answer = report(stored, now, live)
    body = answer.body
    assert list(body)[-6:] == OF_DURABLE
    assert body["status"] in STATUSES
    assert (answer.http_status == 202) is (answer.retry_after is not None) is (body["status"] not in ENDS)
    assert (answer.http_status == 200) is (body["status"] == "Completed")
    assert (answer.http_status == 424) is ("error" in body)
    if "error" in body:
        assert next(iter(body)) == "error"
        assert repr(body).count(body["error"]["message"]) == 1
    assert not [key for key, value in body.items() if value is None and key not in OF_DURABLE]
    assert "token" not in repr(body)
    assert (body["id"], body["instanceId"]) == ("a", "a")
    assert body["requestedAt"] == body["createdTime"] == STATE.requested_at
    assert body["lastUpdatedTime"] == "2026-03-31T12:34:56.000Z"
    return answer


@pytest.mark.parametrize("engine", ["Pending", "Running", "Suspended", "ContinuedAsNew"])
def test_a_request_before_its_first_turn_is_queued(engine: str) -> None:
    """The status is Queued, and unknown values are left out."""
    body = checked_report(request(engine=engine)).body
    assert (body["status"], body["runtimeStatus"], body["customStatus"]) == ("Queued", engine, {"status": "Queued"})
    assert body["output"] is None
    known = {"id", "status", "workspaceId", "datasetId", "caller", "requestedAt"}
    assert set(body) == {*known, *OF_DURABLE}


def test_the_last_standing_is_shown_without_a_newer_one() -> None:
    """Between the end of the run and its own end, a request shows its last state."""
    standing = Standing(status="Refreshing", refresh_id="r", position=0, waits_for=BLOCKER, last_call_error="HTTP 503")
    body = checked_report(request(standing=standing)).body
    assert (body["status"], body["refreshId"], body["position"]) == ("Refreshing", "r", 0)
    assert (body["waitsFor"], body["lastReadError"]) == (encode(BLOCKER), "HTTP 503")


def test_the_status_of_an_active_request_comes_from_its_run() -> None:
    """The state of the run is newer than the request's own state."""
    standing = Standing(status="WaitingForIdle", position=0, run_id="a-r1", shared_with=2, waits_for=BLOCKER)
    progress = Progress(objects=3, by_status={"Completed": 3}, tables=(), more_tables=0)
    run = RunStatus(refresh_id="r", posted_at="p", waits_for=BLOCKER, expected_end="e", progress=progress)
    body = checked_report(request(standing=standing), live_by_run(standing, run)).body
    assert (body["status"], body["refreshId"], body["startedAt"]) == ("Refreshing", "r", "p")
    assert (body["expectedEnd"], body["progress"]) == ("e", encode(progress))
    assert body["sharedWith"] == 2
    assert "waitsFor" not in body, "a running refresh waits for none"


def test_a_waiting_run_names_the_external_refresh() -> None:
    """The status of a waiting run has the external refresh and the error of the last call."""
    standing = Standing(status="WaitingForIdle", position=0, run_id="a-r1")
    run = RunStatus(waits_for=BLOCKER, last_call_error="HTTP 503")
    body = checked_report(request(standing=standing), live_by_run(standing, run)).body
    assert (body["status"], body["waitsFor"]["refreshId"]) == ("WaitingForIdle", "theirs")
    assert body["lastReadError"] == "HTTP 503"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (RunStatus(phase="settling"), "Starting"),
        (RunStatus(last_call_error="HTTP 503"), "Starting"),
        (RunStatus(waits_for=BLOCKER), "WaitingForIdle"),
        (RunStatus(waits_for_place=WaitsForPlace(group="P1", since="s", position=2)), "WaitingForCapacity"),
    ],
)
def test_a_model_waits_only_while_another_refresh_or_its_group_is_in_the_way(status: RunStatus, text: str) -> None:
    """In the answer about a model, too, the pause before the POST is not a wait for another refresh."""
    queue = CheckedQueue()
    queue.enroll("a")
    active = active_of(queue.state, status, "now")
    assert active is not None
    assert active.status == text


def test_the_status_of_a_waiting_request_comes_from_the_queue() -> None:
    """The queue has the position of a request, and the refresh that keeps the model busy."""
    queue = CheckedQueue()
    queue.enroll_and_post("other", "another")
    queue.enroll("a")
    standing = Standing(status="Queued", position=5, run_id="a-r1")
    body = checked_report(request(standing=standing), live_by_queue("a", standing, queue.state)).body
    assert (body["status"], body["position"], body["runId"], body["sharedWith"]) == ("Queued", 1, "a-r1", 0)
    assert body["waitsFor"]["refreshId"] == "r"
    assert live_by_queue("a", standing, Queue()).position == 5, "a queue without the request adds nothing"


def test_a_request_that_backs_off_has_the_time_of_its_next_attempt() -> None:
    """The status has the number of the next attempt, its time, and the code of the failure."""
    retry = Retry(attempt=2, at="2026-03-31T12:01:00.000Z", after="ModelEvicted")
    body = checked_report(request(standing=Standing(retry=retry, last_call_error="Evicted."))).body
    assert body["retry"] == {"attempt": 2, "at": "2026-03-31T12:01:00.000Z", "after": "ModelEvicted"}


@pytest.mark.parametrize("engine", ["Running", "Completed"])
def test_only_a_success_is_200(engine: str) -> None:
    """A success is 200 as soon as it is known, even if the engine is still writing it."""
    outcome = RequestOutcome(
        status="Completed", refresh_id="r", run_id="a-r1", served_by="own", shared_with=0, ended_at="e"
    )
    answer = checked_report(request(outcome, engine, standing=Standing(position=0, last_call_error="HTTP 503")))
    assert answer.http_status == 200
    body = answer.body
    assert (body["runtimeStatus"], body["customStatus"], body["servedBy"]) == ("Completed", None, "own")
    assert (body["sharedWith"], body["endedAt"]) == (0, "e")
    assert body["output"] == encode(outcome)
    assert not {"position", "lastReadError"} & set(body)


@pytest.mark.parametrize("engine", ["Running", "Failed"])
@pytest.mark.parametrize("status", [end for end in ENDS if end != "Completed"])
def test_every_other_outcome_is_424(status: Final, engine: str) -> None:
    """All other outcomes are 424 for pollers of our status and of Durable's. The error appears only once."""
    error = failure("RefreshFailed", MODEL)
    answer = checked_report(request(RequestOutcome(status=status, error=error), engine))
    assert answer.http_status == 424
    assert answer.body["error"] == encode(error)
    assert answer.body["runtimeStatus"] == ("Terminated" if status == "Terminated" else "Failed")
    assert answer.body["output"] == {"status": status}


def test_only_an_end_is_final() -> None:
    """Only an ended request has a final report, after which no further look is needed."""
    assert final_report(request()) is None
    outcome = RequestOutcome(status="Completed")
    assert final_report(request(outcome)) == report(request(outcome), NOON)


@pytest.mark.parametrize(("age", "seconds"), [(0, 5), (300, 30), (86_400, 60), (-30, 5)])
def test_retry_after_grows_with_the_age_of_the_request(age: float, seconds: int) -> None:
    """Retry-After is in whole seconds, as the header requires."""
    assert checked_report(request(), now=NOON + timedelta(seconds=age)).retry_after == seconds


def listed(stored: StoredRequest, run: RunStatus | None = None) -> Json:
    """A row of the list, with checks for every row."""
    row = summary(stored, run)
    assert None not in row.values()
    assert "token" not in repr(row)
    assert row["caller"] == {"pipeline": "Nightly"}
    return row


def test_a_list_shows_the_state_of_each_request() -> None:
    """A row has no tokens and no empty keys. If the state of the run was read, the row shows it."""
    row = listed(request(standing=Standing(status="Refreshing", refresh_id="r")))
    assert (row["status"], row["refreshId"]) == ("Refreshing", "r")
    assert "endedAt" not in row
    assert listed(request())["status"] == "Queued"
    waiting = request(standing=Standing(status="WaitingForIdle", position=0, run_id="a-r1"))
    assert listed(waiting, RunStatus(refresh_id="x"))["status"] == "Refreshing"
    error = failure("RefreshFailed", MODEL)
    row = listed(request(RequestOutcome(status="Failed", error=error, ended_at="e")))
    assert (row["status"], row["endedAt"], row["error"]) == ("Failed", "e", encode(error))
