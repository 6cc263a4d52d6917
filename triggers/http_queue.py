"""GET /api/queues/{datasetId}: who waits for a model, for what, since when, and what Power BI said last."""

from typing import Any

import azure.durable_functions as df
import azure.functions as func

from entities.dataset_queue import read_queue
from entities.instances import run_status
from refresh.history.rows import parse_guid
from refresh.queue.state import Run
from refresh.request.state import phase_of
from refresh.run.state import run_instance
from triggers.answers import answer, error
from triggers.auth import LEVEL, refusal
from triggers.instances import find_request

MOST_SHOWN = 50
"""Requests that are shown with their callers, each of which is a read of the engine's store."""

Json = dict[str, Any]

bp = df.Blueprint()


@bp.route(route="queues/{datasetId}", methods=["GET"], auth_level=LEVEL)
@bp.durable_client_input(client_name="client")
async def http_queue(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`active`, the run whose turn it is (or null), and `queue`, the runs behind it, each with its requests."""
    if refused := refusal(req):
        return refused
    dataset_id = parse_guid(req.route_params["datasetId"])
    if dataset_id is None:
        return error(400, "InvalidRequest", "datasetId must be a GUID.", "datasetId")
    queue = await read_queue(client, dataset_id)
    shown, left = [], MOST_SHOWN
    for position, run in enumerate(queue.runs):
        shown.append(await _run(client, run, position, left))
        left -= min(left, len(run.members))
    active = shown[0] if shown else None
    if active:
        said = await run_status(client, run_instance(queue.runs[0].id, queue.runs[0].generation))
        names = ("waitsFor", "waitsSince", "expectedEnd", "progress", "lastReadError", "nextLookAt")
        active |= {name: said.get(name) for name in names}
    waiting = sum(len(run.members) for run in queue.runs)
    return answer({"datasetId": dataset_id, "waiting": waiting, "active": active, "queue": shown[1:]}, 200)


async def _run(client: df.DurableOrchestrationClient, run: Run, position: int, most: int) -> Json:
    requests = []
    for member in run.members[:most]:
        found = await find_request(client, member.id)
        requests.append({"id": member.id, "since": member.since, "caller": found[1].wish.caller if found else None})
    return {
        "runId": run.id,
        "generation": run.generation,
        "status": phase_of(position, run.refresh_id),
        "enhanced": run.scope["refresh"] is not None,
        "refreshId": run.refresh_id,
        "adopted": run.adopted,
        "startedAt": run.posted_at,
        "requests": requests,
        "moreRequests": len(run.members) - len(requests),
    }
