"""The status of a batch, and its cancellation: GET and DELETE /api/batches/{id}, each with its own token;
POST /api/batches/{id}/cancel for callers that may start batches, GET /api/batches/{id}/status also for readers.
"""

import azure.durable_functions as df
import azure.functions as func

from durable.batches import find_batch
from durable.engine import Engine
from triggers.answers import error
from triggers.auth import secrets_match
from triggers.batches import cancel_batch, report_of_batch
from triggers.reports import status_answer, token_only_reads
from triggers.routing import http_function
from triggers.uris import batch_status_uri, batch_uri, id_batch_status_uri

bp = df.Blueprint()


@http_function(bp, route="batches/{id}", methods=["GET"], signed_in=False)
async def http_batch_status(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """202 while the batch is in progress, 200 if all its models were refreshed, 424 for every other outcome."""
    batch = await find_batch(engine, req.route_params["id"])
    if batch is None or not secrets_match(req.params.get("token"), batch.state.read_token):
        return _unknown()
    return status_answer(req, batch, report_of_batch(batch), uri_of=batch_status_uri)


@http_function(bp, route="batches/{id}/status", methods=["GET"], reads=True)
async def http_batch_status_by_id(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """Like `http_batch_status`, for all callers and readers of the app: it needs no token and returns none."""
    batch = await find_batch(engine, req.route_params["id"])
    if batch is None:
        return _unknown()
    return status_answer(req, batch, report_of_batch(batch), uri_of=id_batch_status_uri)


@http_function(bp, route="batches/{id}", methods=["DELETE"], signed_in=False)
async def http_batch_cancel(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the batch had already ended; always with its status."""
    batch = await find_batch(engine, req.route_params["id"])
    given = req.params.get("token")
    if batch is not None and secrets_match(given, batch.state.read_token):
        return token_only_reads(req, batch_uri, batch.id)
    if batch is None or not secrets_match(given, batch.state.cancel_token):
        return _unknown()
    return await cancel_batch(req, engine, batch)


@http_function(bp, route="batches/{id}/cancel", methods=["POST"])
async def http_batch_cancel_by_id(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """Like `http_batch_cancel`, for callers that may start a batch: it needs no token and returns none."""
    batch = await find_batch(engine, req.route_params["id"])
    if batch is None:
        return _unknown()
    return await cancel_batch(req, engine, batch, id_batch_status_uri)


def _unknown() -> func.HttpResponse:
    """An unknown id and a wrong token get the same answer, so that guessing reveals nothing."""
    return error(404, "BatchNotFound", "The batch does not exist, or the token is wrong.", "id")
