"""Activities about orchestrations: start a run, notify requests and callbacks, read a run. Safe to repeat."""

import asyncio
import logging
import secrets
from collections.abc import Iterable
from typing import Any

import azure.durable_functions as df

from durable import names
from durable.codec import decode, encode
from durable.engine import Engine, EngineUnavailable, Started
from durable.functions import engine_input
from durable.requests import run_status_of
from refresh.events import Event
from refresh.ids import callback_prefix, run_instance
from refresh.messages import replace
from refresh.queue.answers import Ended, WakeUp
from refresh.run import orders
from refresh.run.state import RunState
from refresh.settings import current_settings

EVENTS_AT_ONCE = 16
"""The maximum number of events that are raised at the same time. An event takes two calls of the storage: one after the
other, the events of a thousand members would take longer than the function may."""

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def start_run(order: Any, engine: Engine) -> Any:
    """Order: `orders.StartRun`. Answer: `orders.Notified`, with 1 if the engine accepted the start.

    The instance id does not prevent duplicates. After several starts, even late ones, the queue lets only one
    orchestration continue; it recognises that orchestration by the token that is generated here.
    """
    job: orders.StartRun = decode(order, orders.StartRun)
    run = RunState(
        run=job.turn.run,
        dataset_id=job.dataset_id,
        incarnation=job.turn.incarnation,
        token=secrets.token_hex(8),
        limits=current_settings().limits,
    )
    try:
        started = await engine.start(names.REFRESH_RUN, run_instance(run.run, run.incarnation), run)
    except EngineUnavailable as error:
        ids = {"datasetId": run.dataset_id, "runId": run.run, "incarnation": run.incarnation}
        event = Event("run.not_started", logging.WARNING, **ids, error=str(error))
        log.log(event.level, event.line())
        return encode(orders.Notified())
    return encode(orders.Notified(count=int(isinstance(started, Started))))


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def notify_requests(order: Any, engine: Engine) -> Any:
    """Order: `orders.NotifyRequests`. Answer: `orders.Notified`. A request that has ended does not count."""
    job: orders.NotifyRequests = decode(order, orders.NotifyRequests)
    return encode(orders.Notified(count=await notify_all(engine, job.wake_ups, job.ended)))


async def notify_all(engine: Engine, wake_ups: Iterable[WakeUp], ended: Ended | None = None) -> int:
    """Raises the events, some of them concurrently. Returns how many were accepted.

    `ended` is the outcome that each event carries, without `served_by`.
    """
    slots = asyncio.Semaphore(EVENTS_AT_ONCE)

    async def notify(one: WakeUp) -> bool:
        async with slots:
            data = None if ended is None else replace(ended, served_by=one.served_by)
            return await engine.raise_event(one.instance, one.event, data)

    return sum(await asyncio.gather(*map(notify, wake_ups)))


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def notify_callbacks(order: Any, engine: Engine) -> Any:
    """Order: `orders.NotifyCallbacks`. Answer: `orders.Notified`. A timer finds callbacks that were missed."""
    job: orders.NotifyCallbacks = decode(order, orders.NotifyCallbacks)
    count = 0
    async for callback in engine.list_all(callback_prefix(job.request)):
        count += await engine.raise_event(callback.id, names.ENDED_EVENT)
    return encode(orders.Notified(count=count))


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def read_run(order: Any, engine: Engine) -> Any:
    """Order: `orders.ReadRun`. Answer: `orders.RunRead`."""
    job: orders.ReadRun = decode(order, orders.ReadRun)
    found = await engine.status(run_instance(job.turn.run, job.turn.incarnation))
    alive, status = found is not None and found.alive, run_status_of(found)
    answer = orders.RunRead(alive=alive, last_error=status.last_call_error, waits_for_place=status.waits_for_place)
    return encode(answer)
