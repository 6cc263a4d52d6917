"""Activities that change something in Power BI: start a refresh, cancel one. Each is safe to run twice."""

import logging
import secrets
import time
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df

from activities.model import Model, ids_of, on_power_bi, trouble
from durable import waits
from durable.codec import decode, encode
from durable.engine import Engine
from durable.functions import engine_input
from power_bi.client import Started
from power_bi.errors import AnswerLost, PowerBiError, RefreshInProgress
from refresh import clock
from refresh.events import Event
from refresh.history import adoption
from refresh.history.look import LostWindow
from refresh.queue.operations import ReturnPermit, TakePermit
from refresh.queue.state import Run
from refresh.run import orders
from refresh.scope.body import refresh_body
from refresh.times import instant

ACCEPTED = 202
STAMP_MARGIN = timedelta(seconds=3)
"""What the service's clock, told in whole seconds, and the way to it can add to the start of a refresh."""

log = logging.getLogger(__name__)
bp = df.Blueprint()


class Clock:
    """The service's clock, as it goes on from the time that it told last."""

    def __init__(self, time_shown: datetime) -> None:
        self._shown, self._began = time_shown, time.monotonic()

    def now(self) -> datetime:
        """The service's time, as far as known."""
        return self._shown + timedelta(seconds=time.monotonic() - self._began)


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def post_refresh(order: Any, engine: Engine) -> Any:
    """Order: `orders.PostRefresh`. Answer: `orders.PostResult`.

    The engine may run this twice, later or at the same moment. So each execution looks at the history, then asks the
    queue for the permit, and the one that gets it posts at once: a permit that was taken means a POST.
    """
    asked: orders.PostRefresh = decode(order, orders.PostRefresh)
    execution = secrets.token_hex(4)
    return encode(orders.PostResult(execution=execution, result=await _result(engine, asked, execution)))


async def _result(engine: Engine, asked: orders.PostRefresh, execution: str) -> orders.PostAnswer:
    about: dict[str, object] = {"runId": asked.holder.run, "incarnation": asked.holder.incarnation}
    run = (await engine.read_queue(asked.model.dataset_id)).permitted(asked.holder, asked.permit)
    if run is None:
        return orders.Stale()
    if await engine.first_alive(run.members) is None:
        return orders.Unwanted(requests=tuple(run.members))
    looked = await on_power_bi(asked.model, lambda model: _last_look(model, asked), about)
    if not isinstance(looked, Clock):
        return looked
    holder = await _take_permit(engine, asked, execution)
    if holder is None:
        return orders.Stale()
    if holder.execution != execution:
        window = LostWindow(since=adoption.service_clock(asked.look, holder.permit_taken_at or ""))
        return orders.AnswerLost(error="Another execution started it.", window=window)
    if await engine.first_alive(holder.members) is None:
        # all of them ended while the permit was on its way
        await _return_permit(engine, asked, execution)
        return orders.Unwanted(requests=tuple(holder.members))
    posted = await on_power_bi(asked.model, lambda model: _post(model, asked, looked), about)
    if not isinstance(posted, Started):
        return posted
    facts = {"refreshId": posted.refresh_id, "powerBiRequestId": posted.power_bi_request_id}
    log.info(Event("refresh.accepted", **ids_of(asked.model), **about, **facts).line())
    return orders.Accepted(refresh_id=posted.refresh_id)


def _last_look(model: Model, asked: orders.PostRefresh) -> Clock | orders.Appeared | orders.Blocked:
    """The service's clock, if nothing is new that makes the POST superfluous or certain to be refused."""
    history = model.history()
    found, _ = model.adoptable(history, asked.look, asked.scope)
    if found:
        return orders.Appeared(refresh_id=found.request_id)
    if any(row.state == "running" for row in adoption.new_rows(history.rows, asked.look)):
        return orders.Blocked()
    return Clock(history.service_time or clock.now())


async def _take_permit(engine: Engine, asked: orders.PostRefresh, execution: str) -> Run | None:
    """The run with the execution that has its permit; None if that is not known in time, or it is not permitted.

    A permit that does not show in time is given back, so that a late one is known to have posted nothing.
    """
    dataset_id = asked.model.dataset_id
    operation = TakePermit(at=instant(clock.now()), holder=asked.holder, permit=asked.permit, execution=execution)
    await engine.tell_queue(dataset_id, operation)
    async for _ in waits.pauses(waits.ACTIVITY_SECONDS):
        run = (await engine.read_queue(dataset_id)).permitted(asked.holder, asked.permit)
        if run is None or run.execution is not None:
            return run
    await _return_permit(engine, asked, execution)
    return None


async def _return_permit(engine: Engine, asked: orders.PostRefresh, execution: str) -> None:
    operation = ReturnPermit(at=instant(clock.now()), holder=asked.holder, permit=asked.permit, execution=execution)
    await engine.tell_queue(asked.model.dataset_id, operation)


def _post(model: Model, asked: orders.PostRefresh, service: Clock) -> Started | orders.PostAnswer:
    scope, sent = asked.scope, service.now()
    try:
        body = refresh_body(scope.refresh, scope.notify_option)
        return model.client.start(model.workspace_id, model.dataset_id, body)
    except RefreshInProgress:
        return orders.Busy()
    except AnswerLost as error:
        # if it was accepted, then before we gave up
        window = LostWindow(since=instant(sent), until=instant(service.now() + STAMP_MARGIN))
        return orders.AnswerLost(error=error.message, window=window, accepted=error.http_status == ACCEPTED)
    except PowerBiError as error:
        return trouble(error, asked.model)


@bp.activity_trigger(input_name="order")
async def cancel_refresh(order: Any) -> Any:
    """Order: `orders.CancelRefresh`. Answer: `orders.CancelAnswer`."""
    asked: orders.CancelRefresh = decode(order, orders.CancelRefresh)
    about: dict[str, object] = {"refreshId": asked.refresh_id}
    accepted = await on_power_bi(asked.model, lambda model: _cancel(model, asked), about)
    if not isinstance(accepted, bool):
        return encode(accepted)
    log.info(Event("refresh.cancel_requested", **ids_of(asked.model), **about, accepted=accepted).line())
    return encode(orders.CancelAccepted() if accepted else orders.AlreadyEnded())


def _cancel(model: Model, asked: orders.CancelRefresh) -> bool:
    return model.client.cancel(model.workspace_id, model.dataset_id, asked.refresh_id)
