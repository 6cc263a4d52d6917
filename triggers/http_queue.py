"""GET /api/queues/{datasetId}: the requests that wait for a model, what they wait for, and the last error of Power
BI."""

from typing import Any

import azure.durable_functions as df
import azure.functions as func
import msgspec

from durable.engine import Engine
from durable.requests import find_request
from power_bi.service import known_names
from refresh.failure.catalogue import ModelNames
from refresh.ids import parse_guid
from refresh.queue.state import Queue, Run
from refresh.reporting.status import status_of_run
from refresh.request.state import phase_of
from triggers.answers import answer, error
from triggers.looks import queue_of, run_status
from triggers.routing import http_function

MAX_SHOWN = 50
"""The maximum number of requests listed with their callers; each one takes a read of the storage."""
RUN_STATUS_KEYS = ("waitsFor", "waitsSince", "waitsForPlace", "expectedEnd", "progress", "lastReadError", "nextLookAt")

Json = dict[str, Any]

bp = df.Blueprint()


@http_function(bp, route="queues/{datasetId}", methods=["GET"], reads=True)
async def http_queue(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """`active`, the run whose turn it is (or null), and `queue`, the runs behind it, each with its requests.

    `modelName` and `workspaceName` are null until a run has read them.
    """
    dataset_id = parse_guid(req.route_params["datasetId"])
    if dataset_id is None:
        return error(400, "InvalidRequest", '"datasetId" must be a GUID.', "datasetId")
    queue = await queue_of(engine, dataset_id)
    runs, remaining = [], MAX_SHOWN
    for position, run in enumerate(queue.runs):
        runs.append(await _run(engine, queue, run, position, remaining))
        remaining -= min(remaining, len(run.members))
    active = runs[0] if runs else None
    if active:
        run = queue.runs[0]
        status = await run_status(engine, run.id, run.incarnation)
        active["status"] = status_of_run(status, run.refresh_id)
        active |= {name: msgspec.to_builtins(status).get(name) for name in RUN_STATUS_KEYS}
    waiting = sum(len(run.members) for run in queue.runs)
    ids = {"datasetId": dataset_id, **_names(queue, dataset_id).facts}
    return answer({**ids, "waiting": waiting, "active": active, "queue": runs[1:]}, 200)


def _names(queue: Queue, dataset_id: str) -> ModelNames:
    """The names that the last run read, else those that this process knows."""
    if not queue.runs:
        return queue.names
    return queue.names.also(known_names(queue.scope_of(queue.runs[0]).workspace_id, dataset_id))


async def _run(engine: Engine, queue: Queue, run: Run, position: int, limit: int) -> Json:
    requests = []
    for request_id, member in list(run.members.items())[:limit]:
        found = await find_request(engine, request_id)
        caller = found.state.spec.caller if found else None
        requests.append({"id": request_id, "since": member.since, "caller": caller})
    return {
        "runId": run.id,
        "incarnation": run.incarnation,
        "status": phase_of(position, run.refresh_id, queue.blocker_of(run)),
        "enhanced": queue.is_enhanced(run),
        "refreshId": run.refresh_id,
        "adopted": run.adopted,
        "startedAt": run.posted_at,
        "requests": requests,
        "moreRequests": len(run.members) - len(requests),
    }
