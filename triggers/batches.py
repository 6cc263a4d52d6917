"""The answers about a batch: its URIs, its status, its cancellation."""

import logging
from typing import Any

import azure.functions as func

from durable import names
from durable.engine import Engine, EngineUnavailable
from refresh import clock
from refresh.batch.orders import NoteState
from refresh.batch.stored import StoredBatch
from refresh.events import Event
from refresh.ids import cancel_note
from refresh.reporting.batch import batch_report
from refresh.reporting.status import StatusReport
from refresh.settings import current_settings
from refresh.times import instant
from triggers.answers import answer
from triggers.auth import same, starter_of
from triggers.uris import base_url, batch_status_uri, batch_uri, management_uris

Json = dict[str, Any]

log = logging.getLogger(__name__)


def report_of_batch(batch: StoredBatch) -> StatusReport:
    """The status of a batch for callers."""
    return batch_report(batch, clock.now())


def uris_of_batch(req: func.HttpRequest, engine: Engine, batch: StoredBatch) -> dict[str, str]:
    """The URIs of a batch. Only the caller that started it gets the one that cancels, by principal or key."""
    settings, state = current_settings(), batch.state
    base = base_url(settings, req.url)
    uri = batch_status_uri(base, batch.id, state.read_token)
    uris = {"statusUri": uri}
    if same(starter_of(req, engine.secret), state.starter):
        uris["cancelUri"] = batch_status_uri(base, batch.id, state.cancel_token)
    uris["statusQueryGetUri"] = uri
    if settings.expose_management_uris:
        uris |= management_uris(engine.management_uris(batch.id), base)
    return uris


def batch_answer(
    req: func.HttpRequest, batch: StoredBatch, status: StatusReport, more: Json | None = None, *, by_id: bool = False
) -> func.HttpResponse:
    """The status as an answer: with `Location` and `Retry-After` while it is in progress. `more` is added to the body.

    `by_id`: the URL has no token, for callers that may start batches.
    """
    body = {**status.body, **(more or {})}
    if status.retry_after is None:
        return answer(body, status.http_status)
    base = base_url(current_settings(), req.url)
    uri = f"{batch_uri(base, batch.id)}/status" if by_id else batch_status_uri(base, batch.id, batch.state.read_token)
    return answer(body, status.http_status, {"Location": uri, "Retry-After": str(status.retry_after)})


async def cancel_batch(
    req: func.HttpRequest, engine: Engine, batch: StoredBatch, *, by_id: bool = False
) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the batch had already ended; always with its status.

    A note stores it, the event only makes the batch see it at once.
    """
    status = report_of_batch(batch)
    if status.http_status != 202:
        return answer(status.body, 200)
    log.info(Event("batch.cancel_requested", batchId=batch.id, caller=batch.state.spec.caller).line())
    note_id = cancel_note(batch.id)
    if await engine.status(note_id) is None:
        try:
            await engine.start(names.BATCH_NOTE, note_id, NoteState(batch=batch.id, at=instant(clock.now())))
        except EngineUnavailable:
            # the engine may have accepted it nevertheless; the batch sees the note
            if await engine.status(note_id) is None:
                raise
    await engine.raise_event(batch.id, names.CANCEL_EVENT)
    return batch_answer(req, batch, status, {"cancelling": True}, by_id=by_id)
