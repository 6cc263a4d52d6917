"""The status of a request and its cancellation.

GET and DELETE /api/refreshes/{id} need a token of the request. POST /api/refreshes/{id}/cancel is for callers that may
start requests, GET /api/refreshes/{id}/status also for those that may only read.

The routes are separate because the host checks the function keys, and decides for a whole route, not for each call,
whether a key is needed.
"""

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine
from durable.requests import find_request
from triggers.answers import error
from triggers.auth import secrets_match
from triggers.reports import cancel, report_of, status_answer, token_only_reads
from triggers.routing import http_function
from triggers.uris import id_status_uri, request_uri

bp = df.Blueprint()


@http_function(bp, route="refreshes/{id}", methods=["GET"], signed_in=False)
async def http_status(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """202 while the request is in progress, 200 when its refresh has completed, 424 after any other outcome."""
    request = await find_request(engine, req.route_params["id"])
    if request is None or not secrets_match(req.params.get("token"), request.state.read_token):
        return _unknown()
    return status_answer(req, request, await report_of(engine, request))


@http_function(bp, route="refreshes/{id}/status", methods=["GET"], reads=True)
async def http_status_by_id(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """Like `http_status`, for all callers and readers of the app: it needs no token and returns none."""
    request = await find_request(engine, req.route_params["id"])
    if request is None:
        return _unknown()
    return status_answer(req, request, await report_of(engine, request), uri_of=id_status_uri)


@http_function(bp, route="refreshes/{id}", methods=["DELETE"], signed_in=False)
async def http_cancel(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the request had already ended; the body is the status."""
    request = await find_request(engine, req.route_params["id"])
    token = req.params.get("token")
    if request is not None and secrets_match(token, request.state.read_token):
        return token_only_reads(req, request_uri, request.id)
    if request is None or not secrets_match(token, request.state.cancel_token):
        return _unknown()
    return await cancel(req, engine, request)


@http_function(bp, route="refreshes/{id}/cancel", methods=["POST"])
async def http_cancel_by_id(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """Like `http_cancel`, for callers that may start a request: it needs no token and returns none."""
    request = await find_request(engine, req.route_params["id"])
    if request is None:
        return _unknown()
    return await cancel(req, engine, request, uri_of=id_status_uri)


def _unknown() -> func.HttpResponse:
    """Equal answers for an unknown id and a wrong token, so that guessing reveals nothing."""
    return error(404, "RequestNotFound", "The request does not exist, or the token is wrong.", "id")
