"""How a request is doing, and its cancellation: GET and DELETE /api/refreshes/{id}, each with a token of its own, and
GET /api/refreshes/{id}/status and POST /api/refreshes/{id}/cancel for whoever may start requests.

They are routes apart because only the host knows the function keys, and it asks for one always or never.
"""

import azure.durable_functions as df
import azure.functions as func

from triggers.answers import error
from triggers.auth import LEVEL, refusal
from triggers.instances import find_request, same
from triggers.reports import cancel, report_of, shown
from triggers.uris import id_status_uri

bp = df.Blueprint()


@bp.route(route="refreshes/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def http_status(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 while the request goes on, 200 once its refresh has completed, 424 after any other end."""
    found = await find_request(client, req.route_params["id"])
    if found is None or not same(req.params.get("token"), found[1].read_token):
        return _unknown()
    return shown(req, found[1], await report_of(client, *found))


@bp.route(route="refreshes/{id}/status", methods=["GET"], auth_level=LEVEL)
@bp.durable_client_input(client_name="client")
async def http_status_by_id(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """As `http_status`, for those who may start a request: no token, and none in the answer."""
    if refused := refusal(req):
        return refused
    found = await find_request(client, req.route_params["id"])
    if found is None:
        return _unknown()
    return shown(req, found[1], await report_of(client, *found), uri_of=id_status_uri)


@bp.route(route="refreshes/{id}", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def http_cancel(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the request had already ended; always with its status."""
    found = await find_request(client, req.route_params["id"])
    if found is None or not same(req.params.get("token"), found[1].cancel_token):
        return _unknown()
    return await cancel(req, client, found)


@bp.route(route="refreshes/{id}/cancel", methods=["POST"], auth_level=LEVEL)
@bp.durable_client_input(client_name="client")
async def http_cancel_by_id(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """As `http_cancel`, for those who may start a request: no token, and none in the answer."""
    if refused := refusal(req):
        return refused
    found = await find_request(client, req.route_params["id"])
    if found is None:
        return _unknown()
    return await cancel(req, client, found, uri_of=id_status_uri)


def _unknown() -> func.HttpResponse:
    """An unknown id and a wrong token look the same: whoever guesses learns nothing."""
    return error(404, "RequestNotFound", "There is no such request, or the token does not open it.", "id")
