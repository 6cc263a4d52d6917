"""Adds callbacks to requests and batches."""

import logging

from durable import names
from durable.engine import Engine, Exists
from refresh import clock
from refresh.batch.stored import StoredBatch
from refresh.events import Event
from refresh.ids import callback_instance, dataset_of
from refresh.reporting.callback import ABANDONED, CallbackState
from refresh.request.callback_uri import host_of
from refresh.request.reply import Reply
from refresh.request.stored import StoredRequest
from refresh.settings import current_settings
from refresh.times import instant

log = logging.getLogger(__name__)


async def add_callback_of_repeat(engine: Engine, item: StoredRequest | StoredBatch, reply: Reply) -> None:
    """Adds the callback of a repeated start, if any, to the request or batch that the first start created.

    Raises EngineUnavailable.
    """
    if reply.call_back_uri:
        caller = item.state.spec.caller
        await add_callback(engine, item.id, reply.call_back_uri, caller, to_running=item.outcome is None)


async def add_callback(
    engine: Engine, request_id: str, uri: str, caller: dict[str, str], *, to_running: bool = False
) -> None:
    """Registers `uri`: it is called when the request ends, or at once if it has ended. `check_uri` has checked it.

    Safe to repeat: a URI is stored once per request, even after it was called; an abandoned callback is tried again. A
    callback can be added before its request is stored, if the request is stored within five minutes. `to_running`: the
    request was started without this callback, so it has to be notified. `caller` is for the log. Raises
    EngineUnavailable.
    """
    instance_id = callback_instance(request_id, uri)
    known = await engine.status(instance_id)
    if known and known.output != ABANDONED:
        return
    state = CallbackState(
        request=request_id, uri=uri, added_at=instant(clock.now()), first_pause=current_settings().poll_min_seconds
    )
    if isinstance(await engine.start(names.DELIVER_CALLBACK, instance_id, state), Exists):
        return
    if to_running:
        # if the request misses this event, a timer notifies the callback within minutes after the request has ended
        await engine.raise_event(request_id, names.CALLBACK_EVENT)
    ids = {"requestId": request_id, "datasetId": dataset_of(request_id)}
    log.info(Event("callback.added", **ids, caller=caller, host=host_of(uri)).line())
