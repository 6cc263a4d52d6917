"""The status of a batch, and its cancellation."""

import logging

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
from refresh.times import instant
from triggers.answers import answer
from triggers.reports import UriOf, status_answer
from triggers.uris import batch_status_uri

log = logging.getLogger(__name__)


def report_of_batch(batch: StoredBatch) -> StatusReport:
    """The status of a batch for callers."""
    return batch_report(batch, clock.now())


async def cancel_batch(
    req: func.HttpRequest, engine: Engine, batch: StoredBatch, uri_of: UriOf = batch_status_uri
) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the batch had already ended; always with its status.

    A note stores the cancellation; the event only makes the batch see it at once.
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
            # the engine may have stored the note in spite of the error; then the batch sees it
            if await engine.status(note_id) is None:
                raise
    await engine.raise_event(batch.id, names.CANCEL_EVENT)
    return status_answer(req, batch, status, {"cancelling": True}, uri_of)
