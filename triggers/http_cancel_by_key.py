"""POST /api/refreshes/cancel: cancels the request of an idempotency key, for callers who kept no URI of it."""

import azure.durable_functions as df
import azure.functions as func

from refresh.request.spec import BadRequestError, parse_cancellation
from triggers.answers import answer, error
from triggers.auth import LEVEL, refusal
from triggers.idempotency import last_attempt
from triggers.reports import cancel

bp = df.Blueprint()


@bp.route(route="refreshes/cancel", methods=["POST"], auth_level=LEVEL)
@bp.durable_client_input(client_name="client")
async def http_cancel_by_key(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the request had already ended; 404 if there is none."""
    if refused := refusal(req):
        return refused
    try:
        dataset_id, key = parse_cancellation(req.get_body())
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    _, found = await last_attempt(client, dataset_id, key)
    if found is None:
        return error(404, "RequestNotFound", "No request of this model has this idempotencyKey.", "idempotencyKey")
    return await cancel(req, client, found)
