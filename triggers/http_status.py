"""GET and DELETE /api/refreshes/{id}: how a request is doing, and its cancellation. Each has a token of its own."""

import azure.durable_functions as df
import azure.functions as func

from triggers.answers import error
from triggers.instances import find_request, same
from triggers.reports import cancel, report_of, shown

bp = df.Blueprint()


@bp.route(route="refreshes/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def http_status(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 while the request goes on, 200 once its refresh has completed, 424 after any other end."""
    found = await find_request(client, req.route_params["id"])
    if found is None or not same(req.params.get("token"), found[1].read_token):
        return _unknown()
    return shown(req, found[1], await report_of(client, *found))


@bp.route(route="refreshes/{id}", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def http_cancel(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the request had already ended; always with its status."""
    found = await find_request(client, req.route_params["id"])
    if found is None or not same(req.params.get("token"), found[1].cancel_token):
        return _unknown()
    return await cancel(req, client, found)


def _unknown() -> func.HttpResponse:
    """An unknown id and a wrong token look the same: whoever guesses learns nothing."""
    return error(404, "RequestNotFound", "There is no such request, or the token does not open it.", "id")
