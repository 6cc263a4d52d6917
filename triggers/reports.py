"""The status of a request, built from its own instance and one more read, and the cancellation of a request."""

import logging
from collections.abc import Callable

import azure.functions as func

from durable import names
from durable.engine import Engine
from power_bi.service import known_names
from refresh import clock
from refresh.batch.stored import StoredBatch
from refresh.events import Event
from refresh.failure.catalogue import ModelNames
from refresh.queue.operations import AskToLeave
from refresh.reporting.status import Json, Live, StatusReport, live_by_queue, live_by_run, report
from refresh.request.stored import StoredRequest
from refresh.settings import current_settings
from refresh.times import instant
from triggers.answers import answer, error
from triggers.looks import queue_of, run_status
from triggers.uris import base_url, status_uri

UriOf = Callable[[str, str, str], str]
"""Builds a status URI from the base, the id of a request or batch, and its read token."""

log = logging.getLogger(__name__)


async def report_of(engine: Engine, request: StoredRequest) -> StatusReport:
    """The status of a request for a caller. Raises EngineUnavailable."""
    live = None if request.outcome else await _live(engine, request)
    return report(request, clock.now(), live, names_of(request))


def names_of(request: StoredRequest) -> ModelNames:
    """The names of the request's model, as far as this process knows them without a call to Power BI."""
    return known_names(request.state.spec.scope.workspace_id, request.state.spec.dataset_id)


async def _live(engine: Engine, request: StoredRequest) -> Live | None:
    standing = request.standing
    if standing.run_id is None:
        return None
    if standing.position == 0:
        return live_by_run(standing, await run_status(engine, standing.run_id, standing.incarnation))
    return live_by_queue(request.id, standing, await queue_of(engine, request.state.spec.dataset_id))


def status_answer(
    req: func.HttpRequest,
    item: StoredRequest | StoredBatch,
    status: StatusReport,
    more: Json | None = None,
    uri_of: UriOf = status_uri,
) -> func.HttpResponse:
    """The status as an answer, with `Location` and `Retry-After` until the request ends. `more`: added to the body."""
    body = {**status.body, **(more or {})}
    if status.retry_after is None:
        return answer(body, status.http_status)
    uri = uri_of(base_url(current_settings(), req.url), item.id, item.state.read_token)
    return answer(body, status.http_status, {"Location": uri, "Retry-After": str(status.retry_after)})


def token_only_reads(req: func.HttpRequest, plain_uri: Callable[[str, str], str], item_id: str) -> func.HttpResponse:
    """The refusal of a cancellation that has only the read token. `plain_uri`: `request_uri` or `batch_uri`."""
    cancel_uri = f"{plain_uri(base_url(current_settings(), req.url), item_id)}/cancel"
    message = (
        'This token only reads the status. To cancel, send DELETE to the "cancelUri" from the answer to the start. '
        f"Callers that may start requests can also send POST to {cancel_uri}."
    )
    return error(403, "TokenOnlyReads", message, "token")


async def cancel(
    req: func.HttpRequest, engine: Engine, request: StoredRequest, uri_of: UriOf = status_uri
) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the request had already ended; the body is the status."""
    status = await report_of(engine, request)
    if status.http_status != 202:
        return answer(status.body, 200)
    spec = request.state.spec
    ids = {"requestId": request.id, "datasetId": spec.dataset_id, "workspaceId": spec.scope.workspace_id}
    log.info(Event("request.cancel_requested", **ids, caller=spec.caller).line())
    # the queue stores the cancellation; the event only makes the request notice it sooner
    await engine.tell_queue(spec.dataset_id, AskToLeave(at=instant(clock.now()), request=request.id))
    await engine.raise_event(request.id, names.CANCEL_EVENT)
    return status_answer(req, request, status, {"cancelling": True}, uri_of)
