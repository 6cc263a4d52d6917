"""The status of a batch: one JSON object with the outcome of each model."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from refresh.batch.outcome import counts_of
from refresh.batch.state import Progress
from refresh.batch.stored import StoredBatch
from refresh.messages import without_none
from refresh.polling.schedule import next_wait
from refresh.reporting.status import StatusReport
from refresh.times import instant, time_of

BATCH_ENDS = ("Completed", "Failed", "Cancelled", "TimedOut", "Terminated")
BATCH_STATUSES = ("Listing", "Running", *BATCH_ENDS)
MODEL_STATUSES = ("Waiting", "Started", "Completed", "Failed", "Cancelled", "TimedOut", "OutcomeUnknown", "Terminated")
"""All statuses of a model except Skipped."""

Json = dict[str, Any]


def batch_report(batch: StoredBatch, now: datetime) -> StatusReport:
    """The status of a batch. 200 only if each model was refreshed, 202 in progress, 424 for every other outcome."""
    state, outcome = batch.state, batch.outcome
    error = {"error": msgspec.to_builtins(outcome.error)} if outcome and outcome.error else {}
    status = outcome.status if outcome else "Running" if state.listed else "Listing"
    source = state.spec.all_models
    facts: Json = {
        "id": batch.id,
        "status": status,
        "workspaceId": source.workspace_id if source else None,
        "caller": state.spec.caller or None,
        "retryOf": state.spec.retry_of or None,
        "requestedAt": state.requested_at,
        "deadline": instant(state.deadline),
        "endedAt": outcome.ended_at if outcome else None,
        "lastReadError": state.trouble.message if state.trouble and outcome is None and not state.listed else None,
        "exceptNotFound": list(state.not_found) or None,
        "counts": msgspec.to_builtins(counts_of(state)),
        "models": [_model(batch, number, progress) for number, progress in enumerate(state.progress)],
    }
    known = without_none(facts)
    words = {"Completed": "Completed", "Terminated": "Terminated"}
    durable = {
        "instanceId": batch.id,
        "runtimeStatus": words.get(status, "Failed") if outcome else batch.engine_status,
        "customStatus": None if outcome else {"status": status},
        "output": {"status": status} if outcome else None,
        "createdTime": state.requested_at,
        "lastUpdatedTime": batch.updated,
    }
    body = {**error, **known, **durable}
    if outcome:
        http_status: Literal[200, 424] = 200 if outcome.status == "Completed" else 424
        return StatusReport(http_status, body, None)
    age = (now - time_of(state.requested_at)).total_seconds()
    return StatusReport(202, body, max(1, round(next_wait(age, state.limits))))


def final_batch_report(batch: StoredBatch) -> StatusReport | None:
    """The report of an ended batch; None while it is in progress."""
    return batch_report(batch, batch.state.deadline) if batch.outcome else None


def _model(batch: StoredBatch, number: int, progress: Progress) -> Json:
    """A model: its name, its status, and the known data of its request. Of the error, it has only code, message and
    retryable."""
    state, model = batch.state, batch.state.models[number]
    requested = progress.status not in ("Waiting", "Skipped")
    error = progress.error
    facts: Json = {
        "name": model.name,
        "status": progress.status,
        "error": {"code": error.code, "message": error.message, "retryable": error.retryable} if error else None,
        "reason": progress.reason,
        "workspaceId": model.request.scope.workspace_id,
        "datasetId": model.request.dataset_id,
        "dependsOn": [state.models[before].name for before in model.depends_on] or None,
        "requestId": state.request_id(batch.id, number) if requested else None,
        "refreshId": progress.refresh_id,
        "startedAt": progress.started_at,
        "endedAt": progress.ended_at,
        "earlier": True if progress.request_id else None,
    }
    return without_none(facts)
