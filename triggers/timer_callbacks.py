"""The timer for callbacks that missed the message of their request, or whose own orchestration failed."""

import logging
from typing import Literal

import azure.durable_functions as df
import azure.functions as func

from durable import names
from durable.batches import NotThere, end_of
from durable.codec import NotUnderstoodError, decode
from durable.engine import Engine, EngineUnavailable, Exists
from durable.functions import engine_input
from durable.instance import Instance
from refresh import clock
from refresh.events import Event
from refresh.ids import CALLBACK_PREFIX
from refresh.reporting.callback import MAX_INCARNATIONS, CallbackState, CallbackStatus
from refresh.times import instant
from triggers.portions import work_through

NOT_DELIVERED = ("Pending", "Running", "ContinuedAsNew", "Failed")
"""The statuses of callbacks that this timer handles. A terminated callback is left alone: a person stopped it."""

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
@engine_input(bp)
async def deliver_callbacks(timer: func.TimerRequest, engine: Engine) -> None:
    """Every five minutes: notifies callbacks whose request has ended or does not exist, and restarts failed ones."""
    await engine.beat("deliver_callbacks", instant(clock.now()))

    async def notify_one(callback: Instance) -> Literal["notified", "left"]:
        return "notified" if await _notify_or_restart(engine, callback) else "left"

    counts, complete = await work_through(engine.list_all(CALLBACK_PREFIX, statuses=NOT_DELIVERED), notify_one)
    if counts["notified"] or not complete:
        log.info(Event("callback.reminded", callbacks=counts["notified"], complete=complete).line())


async def _notify_or_restart(engine: Engine, callback: Instance) -> bool:
    """Whether the callback was notified or restarted. A failure is only logged: the next timer run tries again."""
    try:
        state: CallbackState = decode(callback.input, CallbackState)
        if callback.status == "Failed":
            if state.incarnation >= MAX_INCARNATIONS:
                return False
            return not isinstance(await engine.start(names.DELIVER_CALLBACK, callback.id, state.restarted()), Exists)
        status: CallbackStatus = decode(callback.custom_status, CallbackStatus)
        if status.state != "waiting":
            return False
        if await _over(engine, state.request):
            return await engine.raise_event(callback.id, names.ENDED_EVENT)
    except NotUnderstoodError:
        return False
    except EngineUnavailable as problem:
        event = Event("callback.not_reminded", logging.WARNING, instanceId=callback.id, error=str(problem))
        log.log(event.level, event.line())
    return False


async def _over(engine: Engine, request_id: str) -> bool:
    """Whether a request or batch has ended, or was never stored."""
    try:
        report, _ = await end_of(engine, request_id)
    except NotThere:
        return True
    return report is not None
