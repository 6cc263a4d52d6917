"""The record of one model: its last runs and requests, for the page of the model.

A pure state machine. It gets an operation when a run ends; a repeated or late operation changes nothing.
"""

from datetime import datetime
from typing import assert_never

from refresh.models.operations import Forget, RecordOperation, RequestsEnded, RunEnded, repeats
from refresh.models.state import EndedRequest, Record, RecordedRun
from refresh.times import instant, time_of

MAX_RUNS = 50
MAX_REQUESTS = 50


def apply(record: Record, operation: RecordOperation, now: datetime) -> Record | None:
    """Applies one operation to a record, which is not changed; None if it becomes empty. `now`: the host's clock."""
    match operation:
        case RunEnded():
            return Record(runs=_with_run(record, operation, now), requests=_with_requests(record, operation))
        case RequestsEnded():
            return Record(runs=record.runs, requests=_with_requests(record, operation))
        case Forget(before=before):
            runs = tuple(run for run in record.runs if run.recorded_at >= before)
            requests = tuple(request for request in record.requests if request.at >= before)
            return Record(runs=runs, requests=requests) if runs or requests else None
        case _:
            assert_never(operation)


def _with_run(record: Record, operation: RunEnded, now: datetime) -> tuple[RecordedRun, ...]:
    sent = time_of(operation.at)
    if any(run.run_id == operation.run and repeats(sent, time_of(run.recorded_at)) for run in record.runs):
        return record.runs
    outcome, error = operation.outcome, operation.outcome.error
    at = min(operation.at, instant(now))
    run = RecordedRun(
        run_id=operation.run,
        status=outcome.status,
        ended_at=outcome.ended_at or at,
        recorded_at=at,
        waiting_since=operation.since,
        requests=operation.requests,
        refresh_id=outcome.refresh_id,
        code=error.code if error else None,
        message=error.message if error else None,
        started_at=outcome.started_at,
        served_by=("adopted" if outcome.adopted else "own") if outcome.refresh_id else None,
    )
    return tuple(sorted([*record.runs, run], key=lambda one: one.recorded_at)[-MAX_RUNS:])


def _with_requests(record: Record, operation: RunEnded | RequestsEnded) -> tuple[EndedRequest, ...]:
    """A request that tries again ends more than once: its last end counts."""
    ended = {request.id: request for request in record.requests}
    for name in operation.request_ids:
        before = ended.get(name)
        ended[name] = EndedRequest(name, max(operation.at, before.at) if before else operation.at)
    return tuple(sorted(ended.values(), key=lambda one: one.at)[-MAX_REQUESTS:])
