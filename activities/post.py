"""Activities that change something in Power BI: start a refresh, cancel a refresh. Both are safe to run twice."""

import logging
import secrets
import time
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df

from activities.model import CALL_SECONDS, Model, ids_of, on_power_bi, trouble
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
"""The start time of a refresh can be later than the service's time that we calculate, by at most this: the service's
clock has whole seconds, and a call takes time on the network."""

POST_SECONDS = 240.0
"""The time for a whole `post_refresh`: a minute less than `functionTimeout` (host.json). The read of the history may
take `CALL_SECONDS` and the permit `waits.ACTIVITY_SECONDS`. Then about a minute is left for the POST, as long as an
exchange may take."""
LEAST_SECONDS = 20.0
"""With less time than this, nothing is posted: a POST that is cut short could lose its answer."""

log = logging.getLogger(__name__)
bp = df.Blueprint()


class Clock:
    """The service's clock, continued from the time in the service's last answer."""

    def __init__(self, last_time: datetime) -> None:
        self._last, self._began = last_time, time.monotonic()

    def now(self) -> datetime:
        """The service's current time, as calculated."""
        return self._last + timedelta(seconds=time.monotonic() - self._began)


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def post_refresh(order: Any, engine: Engine) -> Any:
    """Order: `orders.PostRefresh`. Answer: `orders.PostResult`.

    The engine may run this twice, in sequence or at the same moment. So each execution reads the history, then asks the
    queue for the permit, and the execution that gets the permit posts at once. A permit that was taken and not returned
    means that a POST may have been sent.
    """
    job: orders.PostRefresh = decode(order, orders.PostRefresh)
    execution = secrets.token_hex(4)
    return encode(orders.PostResult(execution=execution, result=await _result(engine, job, execution)))


async def _result(engine: Engine, job: orders.PostRefresh, execution: str) -> orders.PostAnswer:
    end = time.monotonic() + POST_SECONDS
    about: dict[str, object] = {"runId": job.holder.run, "incarnation": job.holder.incarnation}
    run = (await engine.read_queue(job.model.dataset_id)).permitted(job.holder, job.permit)
    if run is None:
        return orders.Stale()
    if await engine.first_alive(run.members) is None:
        return orders.Unwanted(requests=tuple(run.members))
    look = await on_power_bi(job.model, lambda model: _last_look(model, job), about)
    if not isinstance(look, Clock):
        return look
    run = await _take_permit(engine, job, execution)
    if run is None:
        return orders.Stale()
    if run.execution != execution:
        window = LostWindow(since=adoption.service_clock(job.look, run.permit_taken_at or ""))
        return orders.AnswerLost(error=orders.OTHER_EXECUTION, window=window)
    if await engine.first_alive(run.members) is None:
        # all members ended while the permit was requested
        await _return_permit(engine, job, execution)
        return orders.Unwanted(requests=tuple(run.members))
    seconds = min(CALL_SECONDS, end - time.monotonic())
    if seconds < LEAST_SECONDS:
        return orders.Unavailable(error="The durable engine answered too slowly to leave time for the POST.")
    result = await on_power_bi(job.model, lambda model: _post(model, job, look), about, seconds)
    if not isinstance(result, Started):
        return result
    facts = {"refreshId": result.refresh_id, "powerBiRequestId": result.power_bi_request_id}
    log.info(Event("refresh.accepted", **ids_of(job.model), **about, **facts).line())
    return orders.Accepted(refresh_id=result.refresh_id)


def _last_look(model: Model, job: orders.PostRefresh) -> Clock | orders.Appeared | orders.Blocked:
    """The service's clock, unless a new refresh makes the POST superfluous or certain to be refused."""
    history = model.history()
    found, _ = model.adoptable(history, job.look, job.scope)
    if found:
        return orders.Appeared(refresh_id=found.request_id)
    if any(row.state == "running" for row in adoption.new_rows(history.rows, job.look)):
        return orders.Blocked()
    return Clock(history.service_time or clock.now())


async def _take_permit(engine: Engine, job: orders.PostRefresh, execution: str) -> Run | None:
    """The run; its `execution` is the execution that holds the permit, which may be another one. None if the permit is
    refused or does not become visible in time.

    A permit that does not become visible in time is returned, so that it is known to be unused even if it is given
    later.
    """
    dataset_id = job.model.dataset_id
    operation = TakePermit(at=instant(clock.now()), holder=job.holder, permit=job.permit, execution=execution)
    await engine.tell_queue(dataset_id, operation)
    async for _ in waits.pauses(waits.ACTIVITY_SECONDS):
        run = (await engine.read_queue(dataset_id)).permitted(job.holder, job.permit)
        if run is None or run.execution is not None:
            return run
    await _return_permit(engine, job, execution)
    return None


async def _return_permit(engine: Engine, job: orders.PostRefresh, execution: str) -> None:
    operation = ReturnPermit(at=instant(clock.now()), holder=job.holder, permit=job.permit, execution=execution)
    await engine.tell_queue(job.model.dataset_id, operation)


def _post(model: Model, job: orders.PostRefresh, service: Clock) -> Started | orders.PostAnswer:
    scope, sent_at = job.scope, service.now()
    try:
        body = refresh_body(scope.refresh, scope.notify_option)
        return model.client.start(model.workspace_id, model.dataset_id, body)
    except RefreshInProgress:
        return orders.Busy()
    except AnswerLost as error:
        # if Power BI accepted the POST, it did so before the call was abandoned
        window = LostWindow(since=instant(sent_at), until=instant(service.now() + STAMP_MARGIN))
        return orders.AnswerLost(error=error.message, window=window, accepted=error.http_status == ACCEPTED)
    except PowerBiError as error:
        return trouble(error, job.model)


@bp.activity_trigger(input_name="order")
async def cancel_refresh(order: Any) -> Any:
    """Order: `orders.CancelRefresh`. Answer: `orders.CancelAnswer`."""
    job: orders.CancelRefresh = decode(order, orders.CancelRefresh)
    about: dict[str, object] = {"refreshId": job.refresh_id}
    accepted = await on_power_bi(job.model, lambda model: _cancel(model, job), about)
    if not isinstance(accepted, bool):
        return encode(accepted)
    log.info(Event("refresh.cancel_requested", **ids_of(job.model), **about, accepted=accepted).line())
    return encode(orders.CancelAccepted() if accepted else orders.AlreadyEnded())


def _cancel(model: Model, job: orders.CancelRefresh) -> bool:
    return model.client.cancel(model.workspace_id, model.dataset_id, job.refresh_id)
