"""GET /api/refreshes: who asked for what, and what became of it."""

from datetime import datetime
from uuid import UUID

import azure.durable_functions as df
import azure.functions as func

from refresh.history import iso, parse_guid, parse_time
from refresh.report import STATUSES, summary
from refresh.request import BadRequestError
from triggers.answers import answer
from triggers.instances import list_requests
from triggers.who import LEVEL, refusal

PARAMETERS = ("datasetId", "since", "status", "continuation")
AT_LEAST = 100

bp = df.Blueprint()


@bp.route(route="refreshes", methods=["GET"], auth_level=LEVEL)
@bp.durable_client_input(client_name="client")
async def http_list(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`refreshes`, newest first, and `continuation` if there are more: hand it in again to go on."""
    if refused := refusal(req):
        return refused
    try:
        dataset_id, since, statuses = _filters(req)
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    prefix = UUID(dataset_id).hex + "-" if dataset_id else ""
    token = req.params.get("continuation", "")
    found, token = await list_requests(client, prefix, iso(since), token, AT_LEAST)
    rows = [summary(instance, state) for instance, state in found]
    rows = [row for row in rows if not statuses or row["status"].lower() in statuses]
    rows.sort(key=lambda row: row["requestedAt"], reverse=True)
    return answer({"refreshes": rows, "continuation": token or None}, 200)


def _filters(req: func.HttpRequest) -> tuple[str | None, datetime | None, frozenset[str]]:
    for name in req.params:
        if name not in (*PARAMETERS, "code"):
            raise BadRequestError(f"Unknown parameter; known are {', '.join(PARAMETERS)}.", name[:64])
    dataset_id = req.params.get("datasetId")
    if dataset_id and not parse_guid(dataset_id):
        raise BadRequestError("datasetId must be a GUID.", "datasetId")
    since = req.params.get("since")
    if since and not parse_time(since):
        raise BadRequestError("since must be a time such as 2026-03-31T00:00:00Z.", "since")
    statuses = frozenset(word.strip().lower() for word in req.params.get("status", "").split(",") if word.strip())
    if statuses - {status.lower() for status in STATUSES}:
        raise BadRequestError(f"status must be some of {', '.join(STATUSES)}, separated by commas.", "status")
    return parse_guid(dataset_id), parse_time(since), statuses
