"""Activities of batches: start and look at requests, cancel them, keep notes. Safe to repeat."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

import azure.durable_functions as df

from durable import names, waits
from durable.batches import read_note
from durable.codec import decode, encode
from durable.engine import Engine, Started
from durable.functions import engine_input
from durable.requests import find_request
from durable.tokens import token
from outbound.pools import POWER_BI, PoolBusyError
from power_bi.errors import PowerBiError
from power_bi.errors import Refused as RefusedByPowerBi
from power_bi.errors import Throttled as ThrottledByPowerBi
from power_bi.service import configured_client
from refresh import clock
from refresh.batch import orders
from refresh.batch.outcome import failure_of_listing
from refresh.batch.spec import MAX_MODELS
from refresh.events import Event
from refresh.ids import cancel_note, end_note
from refresh.messages import replace
from refresh.queue.operations import AskToLeave
from refresh.request.state import RequestState
from refresh.run.orders import Notified, NotifyBatch, Refused, Throttled, Unavailable
from refresh.settings import current_settings
from refresh.text import cut
from refresh.times import instant, time_of

AT_ONCE = 16
"""The maximum number of simultaneous calls to the engine, which other code also needs."""
MIN_MINUTES = 0.01
"""The minimum timeout of a request; it applies if the request is started just before the deadline of its batch."""

LIST_SECONDS = 120.0
MAX_LISTED = 2 * MAX_MODELS
"""The maximum number of refreshable models that are read from a workspace: MAX_MODELS for the batch, plus as many that
`except` may exclude."""
MAX_NAME = 200

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def read_requests(order: Any, engine: Engine) -> Any:
    """Order: `orders.ReadRequests`. Answer: `orders.RequestsSeen`."""
    job: orders.ReadRequests = decode(order, orders.ReadRequests)

    async def look(one: orders.Numbered) -> orders.RequestSeen | None:
        found = await find_request(engine, one.request)
        if found is None:
            return orders.RequestSeen(number=one.number, missing=True)
        return orders.RequestSeen(number=one.number, outcome=found.outcome) if found.outcome else None

    cancelled = await read_note(engine, cancel_note(job.batch)) is not None
    seen = tuple(one for one in await each(look, job.requests) if one is not None)
    return encode(orders.RequestsSeen(found=seen, cancelled=cancelled))


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def start_requests(order: Any, engine: Engine) -> Any:
    """Order: `orders.StartRequests`. Answer: `Notified`, with the number of requests that exist now.

    The ids and tokens of the requests are derived from the batch and the models, so an order that is carried out twice
    starts each request once. An ended request is not started again, although the engine would allow it.
    """
    job: orders.StartRequests = decode(order, orders.StartRequests)

    async def start(one: orders.NewRequest) -> bool:
        if await engine.status(one.request) is not None:
            return True
        state = _request(engine, job, one)
        if isinstance(await engine.start(names.REFRESH_REQUEST, one.request, state), Started):
            spec = one.spec
            ids = {"requestId": one.request, "datasetId": spec.dataset_id, "workspaceId": spec.scope.workspace_id}
            facts = {"enhanced": spec.scope.enhanced, "share": spec.share, "batchId": job.batch}
            log.info(Event("request.accepted", **ids, caller=spec.caller, **facts).line())
        return True

    return encode(Notified(count=sum(await each(start, job.requests))))


def _request(engine: Engine, job: orders.StartRequests, one: orders.NewRequest) -> RequestState:
    now, settings = clock.now(), current_settings()
    minutes_left = (time_of(job.deadline) - now).total_seconds() / 60
    return RequestState(
        spec=replace(one.spec, timeout_minutes=max(min(one.spec.timeout_minutes, minutes_left), MIN_MINUTES)),
        token=token(engine.secret, "enroll", one.request, keyed=True),
        read_token=token(engine.secret, "read", one.request, keyed=True),
        cancel_token=token(engine.secret, "cancel", one.request, keyed=True),
        requested_at=instant(now),
        starter=job.starter,
        recheck_seconds=settings.recheck_seconds,
        limits=settings.limits,
        batch=job.batch,
    )


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def settle_requests(order: Any, engine: Engine) -> Any:
    """Order: `orders.Settle`. Answer: `orders.Settled`.

    The queue stores the cancellation of a request that it does not know yet, so that a later start refreshes nothing.
    """
    job: orders.Settle = decode(order, orders.Settle)

    async def cancel(one: orders.Numbered) -> int | None:
        exists = await engine.status(one.request) is not None
        await engine.tell_queue(one.dataset_id, AskToLeave(at=instant(clock.now()), request=one.request))
        if exists:
            await engine.raise_event(one.request, names.CANCEL_EVENT)
        return one.number if exists else None

    await each(cancel, job.cancel)
    existing = tuple(number for number in await each(cancel, job.suspects) if number is not None)
    return encode(orders.Settled(existing=existing))


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def notify_batch(order: Any, engine: Engine) -> Any:
    """Order: `NotifyBatch`. Answer: `Notified`. A batch that misses the notification notices the end at its recheck.

    The engine sends messages before it stores statuses, so this activity waits up to some seconds until the end of the
    request can be read.
    """
    job: NotifyBatch = decode(order, NotifyBatch)
    if not await _ended(engine, job.request):
        async for _ in waits.pauses(waits.STATUS_SECONDS):
            if await _ended(engine, job.request):
                break
    return encode(Notified(count=int(await engine.raise_event(job.batch, names.MODEL_ENDED_EVENT))))


async def _ended(engine: Engine, request_id: str) -> bool:
    found = await find_request(engine, request_id)
    return found is None or found.outcome is not None


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def read_notes(order: Any, engine: Engine) -> Any:
    """Order: `orders.ReadNotes`. Answer: `orders.NotesRead`."""
    job: orders.ReadNotes = decode(order, orders.ReadNotes)
    end = await read_note(engine, end_note(job.batch))
    cancelled = await read_note(engine, cancel_note(job.batch)) is not None
    return encode(orders.NotesRead(ended=end.ended if end else None, cancelled=cancelled))


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def keep_end(order: Any, engine: Engine) -> Any:
    """Order: `orders.KeepEnd`. Answer: `Notified`."""
    job: orders.KeepEnd = decode(order, orders.KeepEnd)
    instance_id = end_note(job.batch)
    if await engine.status(instance_id) is None:
        note = orders.NoteState(batch=job.batch, at=instant(clock.now()), ended=job.state)
        await engine.start(names.BATCH_NOTE, instance_id, note)
    return encode(Notified(count=1))


@bp.activity_trigger(input_name="order")
async def list_models(order: Any) -> Any:
    """Order: `orders.ListModels`. Answer: `orders.ListModelsAnswer`."""
    job: orders.ListModels = decode(order, orders.ListModels)
    workspace_id = UUID(job.workspace_id)
    if not current_settings().allows_workspace(workspace_id):
        return encode(Refused(failure=failure_of_listing("WorkspaceNotAllowed", f"workspace {workspace_id}.")))

    def models() -> list[tuple[str, str]]:
        listed = configured_client().models(workspace_id)
        refreshable = ((model.dataset_id, cut(model.name, MAX_NAME)) for model in listed if model.refreshable)
        return list(islice(refreshable, MAX_LISTED + 1))

    try:
        found = await POWER_BI.run(models, key=job.workspace_id, seconds=LIST_SECONDS)
    except PoolBusyError:
        return encode(Unavailable(error="Too many calls to Power BI are waiting."))
    except PowerBiError as error:
        facts = {"httpStatus": error.http_status, "powerBiRequestId": error.power_bi_request_id}
        event = Event("power_bi.error", logging.WARNING, workspaceId=job.workspace_id, **facts, error=error.message)
        log.log(event.level, event.line())
        return encode(_trouble(error, job.workspace_id))
    return encode(orders.ModelsListed(models=tuple(found[:MAX_LISTED]), more=len(found) > MAX_LISTED))


def _trouble(error: PowerBiError, workspace_id: str) -> Throttled | Unavailable | Refused:
    if isinstance(error, ThrottledByPowerBi):
        return Throttled(seconds=error.retry_after_seconds, error=error.message)
    if isinstance(error, RefusedByPowerBi):
        detail = f"workspace {workspace_id}. {error.service_message or ''}".strip()
        return Refused(failure=failure_of_listing(error.code, detail))
    return Unavailable(error=error.message)


async def each(work: Callable[[T], Awaitable[R]], things: Iterable[T]) -> list[R]:
    """The results of `work` for all items, of which up to AT_ONCE are handled at the same time. Raises its
    exceptions."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(thing: T) -> R:
        async with slots:
            return await work(thing)

    return list(await asyncio.gather(*map(one, things)))
