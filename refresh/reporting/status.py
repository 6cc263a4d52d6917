"""The answer to "how is my request doing?": one JSON object, which pollers of Durable's own status understand too.

Put together from what the engine says of the request's orchestration, the queue, and the active run. Pure.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from msgspec import to_builtins

from refresh.failure.catalogue import failure
from refresh.polling.schedule import next_wait
from refresh.queue.state import Queue
from refresh.request.state import RequestState, phase_of

ENDS = ("Completed", "Failed", "Cancelled", "TimedOut", "OutcomeUnknown", "Terminated")
STATUSES = ("Queued", "WaitingForIdle", "Refreshing", *ENDS)
OVER = ("Completed", "Failed", "Terminated", "Canceled")
"""The engine's own words for an orchestration that has ended."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Instance:
    """An orchestration as the engine shows it. `status` is the engine's word, `updated` ISO 8601 or None."""

    id: str
    status: str
    custom: Json
    output: object
    updated: str | None


@dataclass(frozen=True)
class Report:
    """What to answer: HTTP status, the JSON object, and seconds until it is worth to ask again (None: it is over)."""

    http_status: Literal[200, 202, 424]
    body: Json
    retry_after: int | None


def report(instance: Instance, state: RequestState, queue: Queue, run: Json, now: datetime) -> Report:
    """The status of a request. `run` is the custom status of the active run, empty if there is none."""
    ending = _ending(instance, state)
    standing = ending or _standing(instance, state, queue, run)
    status = standing.get("status", "Queued")
    body = {
        **({"error": standing["error"]} if standing.get("error") else {}),
        "id": instance.id,
        "status": status,
        "workspaceId": state.wish.scope.workspace_id,
        "datasetId": state.wish.dataset_id,
        "caller": state.wish.caller,
        "position": standing.get("position"),
        "runId": standing.get("runId"),
        "refreshId": standing.get("refreshId"),
        "sharedWith": standing.get("sharedWith"),
        "servedBy": standing.get("servedBy"),
        "requestedAt": state.requested_at,
        "startedAt": standing.get("startedAt"),
        "endedAt": standing.get("endedAt"),
        "expectedEnd": standing.get("expectedEnd"),
        "progress": standing.get("progress"),
        "waitsFor": standing.get("waitsFor"),
        "lastReadError": standing.get("lastReadError"),
        "retry": standing.get("retry"),
        "instanceId": instance.id,
        "runtimeStatus": _runtime_status(instance, status),
        "customStatus": None if ending else {"status": status},
        "output": {key: value for key, value in ending.items() if value is not None} if ending else None,
        # the engine's own is that of the present generation
        "createdTime": state.requested_at,
        "lastUpdatedTime": instance.updated,
    }
    if ending:
        return Report(200 if status == "Completed" else 424, body, None)
    age = (now - datetime.fromisoformat(state.requested_at)).total_seconds()
    return Report(202, body, max(1, round(next_wait(age, state.limits))))


def summary(instance: Instance, state: RequestState) -> Json:
    """A request in a list: what its own orchestration knows, without asking anybody else."""
    standing = _ending(instance, state) or instance.custom
    return {
        "id": instance.id,
        "status": standing.get("status", "Queued"),
        "workspaceId": state.wish.scope.workspace_id,
        "datasetId": state.wish.dataset_id,
        "caller": state.wish.caller,
        "runId": standing.get("runId"),
        "refreshId": standing.get("refreshId"),
        "requestedAt": state.requested_at,
        "endedAt": standing.get("endedAt"),
        "error": standing.get("error"),
    }


def _ending(instance: Instance, state: RequestState) -> Json | None:
    """How the request ended; None if it goes on. Its own word counts from the moment it is known."""
    if instance.custom.get("status") in ENDS:
        return instance.custom
    if instance.status not in OVER:
        return None
    said = instance.output if isinstance(instance.output, str) else None
    terminated = instance.status in ("Terminated", "Canceled")
    code = "RequestTerminated" if terminated else "InternalError"
    error = to_builtins(failure(code, state.wish.dataset_id, detail=said))
    return {"status": "Terminated" if terminated else "Failed", "error": error, "endedAt": instance.updated}


def _standing(instance: Instance, state: RequestState, queue: Queue, run: Json) -> Json:
    mine = queue.run_of(instance.id)
    if mine is None:
        return instance.custom
    position = queue.runs.index(mine)
    active = run if position == 0 else {}
    return {
        "status": phase_of(position, mine.refresh_id),
        "position": position,
        "runId": mine.id,
        "refreshId": mine.refresh_id,
        "sharedWith": len(mine.members) - 1,
        "startedAt": mine.posted_at,
        "waitsFor": queue.ahead_of(mine),
        "expectedEnd": active.get("expectedEnd"),
        "progress": active.get("progress"),
        "lastReadError": active.get("lastReadError"),
    }


def _runtime_status(instance: Instance, status: str) -> str:
    if status == "Completed" or status not in ENDS:
        return "Completed" if status == "Completed" else instance.status
    return "Terminated" if status == "Terminated" else "Failed"
