"""The last runs and requests of one model, for its page."""

from collections.abc import Iterable
from datetime import datetime

from refresh.messages import without_none
from refresh.models.state import Active, Record, RecordedRun
from refresh.queue.state import Queue
from refresh.reporting.models import Json
from refresh.reporting.status import Live, live_by_queue, status_of_run
from refresh.request.stored import StoredRequest
from refresh.run.status import RunStatus
from refresh.times import instant, parse_time

MAX_REQUESTS = 50


def active_of(queue: Queue, status: RunStatus, at: str) -> Active | None:
    """The active run, according to its queue and its own status; None if nothing runs or waits.

    `at`: the time of the look.
    """
    if not queue.runs:
        return None
    run = queue.runs[0]
    posted_at = status.posted_at or run.posted_at
    return Active(
        run_id=run.id,
        incarnation=run.incarnation,
        since=(posted_at or run.since) if run.refresh_id else run.since,
        status=status_of_run(status, run.refresh_id),
        requests=len(run.members),
        at=at,
        refresh_id=run.refresh_id,
    )


def runs_json(record: Record, retention_cutoff: datetime) -> list[Json]:
    """The ended runs, newest first, except for those recorded before `retention_cutoff`."""
    return [_run(run) for run in reversed(record.runs) if run.recorded_at >= instant(retention_cutoff)]


def request_ids(record: Record, queue: Queue) -> list[str]:
    """The newest requests of a model, both waiting and ended; at most 50."""
    at = {request.id: request.at for request in record.requests}
    at |= {request: member.since for run in queue.runs for request, member in run.members.items()}
    return sorted(at, key=lambda request: at[request], reverse=True)[:MAX_REQUESTS]


def requests_json(requests: Iterable[StoredRequest], queue: Queue) -> list[Json]:
    """Requests, newest first. The standing of a request in progress comes from the queue."""
    newest = sorted(requests, key=lambda request: (request.state.requested_at, request.id), reverse=True)
    return [_request(request, live_by_queue(request.id, request.standing, queue)) for request in newest]


def _run(run: RecordedRun) -> Json:
    return without_none(
        {
            "runId": run.run_id,
            "refreshId": run.refresh_id,
            "status": run.status,
            "code": run.code,
            "message": run.message,
            "waitingSince": run.waiting_since,
            "startedAt": run.started_at,
            "endedAt": run.ended_at,
            "durationSeconds": _seconds(run.started_at, run.ended_at),
            "waitedSeconds": _seconds(run.waiting_since, run.started_at or run.ended_at),
            "requests": run.requests,
            "servedBy": run.served_by,
        }
    )


def _request(request: StoredRequest, live: Live) -> Json:
    outcome, spec = request.outcome, request.state.spec
    known = outcome or live
    return without_none(
        {
            "id": request.id,
            "status": known.status,
            "code": outcome.error.code if outcome and outcome.error else None,
            "caller": spec.caller or None,
            "requestedAt": request.state.requested_at,
            "endedAt": outcome.ended_at if outcome else None,
            "waitedSeconds": _seconds(request.state.requested_at, known.started_at),
            "runId": known.run_id,
            "servedBy": outcome.served_by if outcome else None,
            "shared": bool(known.shared_with),
        }
    )


def _seconds(begin: str | None, end: str | None) -> float | None:
    """Seconds between two times; 0 if different clocks make the difference negative. None if a time is missing."""
    begun, ended = parse_time(begin), parse_time(end)
    if begun is None or ended is None:
        return None
    return max(round((ended - begun).total_seconds(), 1), 0.0)
