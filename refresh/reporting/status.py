"""Builds the status of a request: one JSON object that also works for pollers of Durable's own status."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from refresh.capacity.answers import WaitsForPlace
from refresh.failure.catalogue import ModelNames
from refresh.history.look import ExternalRefresh
from refresh.history.progress import Progress
from refresh.messages import ApiMessage, without_none
from refresh.polling.schedule import next_wait
from refresh.queue.state import Queue
from refresh.request.state import RequestOutcome, RequestState, Standing, phase_in_turn, phase_of
from refresh.request.stored import StoredRequest
from refresh.run.status import RunStatus
from refresh.times import time_of

ENDS = ("Completed", "Failed", "Cancelled", "TimedOut", "OutcomeUnknown", "Terminated")
STATUSES = ("Queued", "WaitingForIdle", "WaitingForCapacity", "Starting", "Refreshing", *ENDS)

UNNAMED = ModelNames()

Json = dict[str, Any]


@dataclass(frozen=True)
class StatusReport:
    """The answer: HTTP status, JSON object, and seconds until the next poll (None: the request has ended)."""

    http_status: Literal[200, 202, 424]
    body: Json
    retry_after: int | None


class Live(ApiMessage, frozen=True, kw_only=True):
    """The current standing of a request in progress, according to the newest source that was read."""

    status: str
    position: int | None = None
    run_id: str | None = None
    refresh_id: str | None = None
    shared_with: int | None = None
    started_at: str | None = None
    waits_for: ExternalRefresh | None = None
    waits_for_place: WaitsForPlace | None = None
    expected_end: str | None = None
    progress: Progress | None = None
    last_call_error: str | None = msgspec.field(default=None, name="lastReadError")  # the public key
    model_name: str | None = None
    workspace_name: str | None = None


def live_by_request(standing: Standing) -> Live:
    """The standing of a request when it last asked the queue."""
    return Live(
        status=standing.status,
        position=standing.position,
        run_id=standing.run_id,
        refresh_id=standing.refresh_id,
        shared_with=standing.shared_with,
        started_at=standing.started_at,
        waits_for=standing.waits_for,
        last_call_error=standing.last_call_error,
        model_name=standing.model_name,
        workspace_name=standing.workspace_name,
    )


def status_of_run(
    run: RunStatus, refresh_id: str | None
) -> Literal["WaitingForIdle", "WaitingForCapacity", "Starting", "Refreshing"]:
    """The status of an active run and its requests. `refresh_id`: its refresh, if that is known."""
    if run.waits_for_place and not refresh_id:
        return "WaitingForCapacity"
    return phase_in_turn(refresh_id, run.waits_for)


def live_by_run(standing: Standing, run: RunStatus) -> Live:
    """The standing of a request whose run is active, from the status of the run."""
    refresh_id = run.refresh_id or standing.refresh_id
    waits_for = None if refresh_id else run.waits_for
    waits_for_place = None if refresh_id else run.waits_for_place
    return msgspec.structs.replace(
        live_by_request(standing),
        status=status_of_run(run, refresh_id),
        refresh_id=refresh_id,
        started_at=run.posted_at or standing.started_at,
        waits_for=waits_for,
        waits_for_place=waits_for_place,
        expected_end=run.expected_end,
        progress=run.progress,
        last_call_error=run.last_call_error,
        model_name=run.model_name or standing.model_name,
        workspace_name=run.workspace_name or standing.workspace_name,
    )


def live_by_queue(request_id: str, standing: Standing, queue: Queue) -> Live:
    """The standing of a request whose run waits for its turn, from the queue."""
    run = queue.run_of(request_id)
    if run is None:
        return live_by_request(standing)
    position, waits_for = queue.runs.index(run), queue.blocker_of(run)
    return Live(
        status=phase_of(position, run.refresh_id, waits_for),
        position=position,
        run_id=run.id,
        refresh_id=run.refresh_id,
        shared_with=len(run.members) - 1,
        started_at=run.posted_at,
        waits_for=waits_for,
        model_name=queue.names.model or standing.model_name,
        workspace_name=queue.names.workspace or standing.workspace_name,
    )


def report(
    request: StoredRequest, now: datetime, live: Live | None = None, names: ModelNames = UNNAMED
) -> StatusReport:
    """The status of a request. `live`: the current standing of a request in progress, if it was looked up.

    `names`: names of the model, used if the request does not know them.
    """
    if request.outcome is not None:
        body = {**_ended(request.outcome), **_durable(request, request.outcome)}
        http_status: Literal[200, 424] = 200 if request.outcome.status == "Completed" else 424
        return StatusReport(http_status, _with_ids(request, body, names), None)
    standing = live or live_by_request(request.standing)
    retry = request.standing.retry
    progress = {
        **msgspec.to_builtins(standing),
        **({"retry": msgspec.to_builtins(retry)} if retry else {}),
        **_durable(request, None, standing.status),
    }
    age = (now - time_of(request.state.requested_at)).total_seconds()
    return StatusReport(202, _with_ids(request, progress, names), max(1, round(next_wait(age, request.state.limits))))


def final_report(request: StoredRequest) -> StatusReport | None:
    """The report of a request that has ended; None before that. An outcome is complete, so nothing is looked up."""
    return report(request, request.state.deadline) if request.outcome else None


def summary(request: StoredRequest, run: RunStatus | None = None, names: ModelNames = UNNAMED) -> Json:
    """A request in a list. `run`: the status of its run, if that is active and was looked up.

    `names`: names of the model, used if neither the request nor its run knows them.
    """
    spec, outcome = request.state.spec, request.outcome
    standing = live_by_run(request.standing, run) if run else live_by_request(request.standing)
    source = outcome or standing
    return without_none(
        {
            "id": request.id,
            "status": outcome.status if outcome else standing.status,
            "workspaceId": spec.scope.workspace_id,
            "workspaceName": source.workspace_name or names.workspace,
            "datasetId": spec.dataset_id,
            "modelName": source.model_name or names.model,
            "caller": spec.caller or None,
            "batchId": request.state.batch or None,
            "runId": outcome.run_id if outcome else standing.run_id,
            "refreshId": outcome.refresh_id if outcome else standing.refresh_id,
            "requestedAt": request.state.requested_at,
            "endedAt": outcome.ended_at if outcome else None,
            "error": msgspec.to_builtins(outcome.error) if outcome and outcome.error else None,
        }
    )


def _with_ids(request: StoredRequest, body: Json, names: ModelNames) -> Json:
    """The status with `error`, the ids and the names first."""
    state: RequestState = request.state
    error = {"error": body.pop("error")} if body.get("error") else {}
    ids = {
        "id": request.id,
        "status": body.pop("status"),
        "workspaceId": state.spec.scope.workspace_id,
        "workspaceName": body.pop("workspaceName", None) or names.workspace,
        "datasetId": state.spec.dataset_id,
        "modelName": body.pop("modelName", None) or names.model,
        "caller": state.spec.caller or None,
        "batchId": state.batch or None,
        "requestedAt": state.requested_at,
    }
    durable = {key: body.pop(key) for key in ("runtimeStatus", "customStatus", "output")}
    times = {"createdTime": state.requested_at, "lastUpdatedTime": request.updated}
    # the keys of Durable's own status are always present, because its pollers read them
    return {**error, **without_none({**ids, **body}), "instanceId": request.id, **durable, **times}


def _ended(outcome: RequestOutcome) -> Json:
    value: Json = msgspec.to_builtins(outcome)
    return value


def _durable(request: StoredRequest, outcome: RequestOutcome | None, status: str = "") -> Json:
    """The keys of Durable's own status. The answer contains the error already, so `output` does not repeat it."""
    if outcome is None:
        return {"runtimeStatus": request.engine_status, "customStatus": {"status": status}, "output": None}
    words = {"Completed": "Completed", "Terminated": "Terminated"}
    output = {key: value for key, value in _ended(outcome).items() if key != "error"}
    return {"runtimeStatus": words.get(outcome.status, "Failed"), "customStatus": None, "output": output}
