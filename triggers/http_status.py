"""How a request is doing, and its cancellation: GET and DELETE /api/refreshes/{id}, each with a token of its own, and
GET /api/refreshes/{id}/status and POST /api/refreshes/{id}/cancel for callers that may start requests.

They are routes apart because only the host knows the function keys, and it asks for one always or never.
"""

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine
from durable.requests import find_request
from triggers.answers import error
from triggers.auth import same
from triggers.reports import cancel, report_of, status_answer
from triggers.routing import http_function
from triggers.uris import id_status_uri

bp = df.Blueprint()


@http_function(bp, route="refreshes/{id}", methods=["GET"], signed_in=False)
async def http_status(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """202 while the request goes on, 200 once its refresh has completed, 424 after any other end."""
    request = await find_request(engine, req.route_params["id"])
    if request is None or not same(req.params.get("token"), request.state.read_token):
        return _unknown()
    return status_answer(req, request, await report_of(engine, request))


@http_function(bp, route="refreshes/{id}/status", methods=["GET"])
async def http_status_by_id(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """As `http_status`, for callers that may start a request: no token, and none in the answer."""
    request = await find_request(engine, req.route_params["id"])
    if request is None:
        return _unknown()
    return status_answer(req, request, await report_of(engine, request), uri_of=id_status_uri)


@http_function(bp, route="refreshes/{id}", methods=["DELETE"], signed_in=False)
async def http_cancel(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the request had already ended; always with its status."""
    request = await find_request(engine, req.route_params["id"])
    given = req.params.get("token")
    if request is not None and same(given, request.state.read_token):
        message = "This token reads the status. To cancel, use the cancelUri of the start."
        return error(403, "TokenOnlyReads", message, "token")
    if request is None or not same(given, request.state.cancel_token):
        return _unknown()
    return await cancel(req, engine, request)


@http_function(bp, route="refreshes/{id}/cancel", methods=["POST"])
async def http_cancel_by_id(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """As `http_cancel`, for callers that may start a request: no token, and none in the answer."""
    request = await find_request(engine, req.route_params["id"])
    if request is None:
        return _unknown()
    return await cancel(req, engine, request, uri_of=id_status_uri)


def _unknown() -> func.HttpResponse:
    """An unknown id and a wrong token look the same: guessing teaches nothing."""
    return error(404, "RequestNotFound", "There is no such request, or the token does not open it.", "id")
