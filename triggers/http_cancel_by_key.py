"""POST /api/refreshes/cancel: cancels a request by its idempotency key, for callers that did not keep its URIs."""

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine
from refresh.request.spec import parse_cancellation
from refresh.request.values import BadRequestError
from triggers.answers import answer, error
from triggers.http_start import last_submission
from triggers.reports import cancel
from triggers.routing import http_function

bp = df.Blueprint()


@http_function(bp, route="refreshes/cancel", methods=["POST"])
async def http_cancel_by_key(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the request had already ended, 404 if it does not exist."""
    try:
        dataset_id, key = parse_cancellation(req.get_body())
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    request, _ = await last_submission(engine, dataset_id, key)
    if request is None:
        return error(404, "RequestNotFound", "No request of this model has this idempotency key.", "idempotencyKey")
    return await cancel(req, engine, request)
