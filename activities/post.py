"""Activities that change something in Power BI: start a refresh, cancel one. Each is safe to run twice."""

import asyncio
import secrets
import time
from datetime import timedelta

import azure.durable_functions as df

from activities.model import Json, Model, failed, log
from entities.dataset_queue import read_queue
from entities.instances import first_alive
from power_bi.errors import AnswerLost, PowerBiError, RefreshInProgress
from refresh import clock
from refresh.history import adoption
from refresh.history.rows import instant
from refresh.queue.state import Run
from refresh.reporting.events import entry
from refresh.request.options import refresh_body

SIGNAL_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds to wait for the queue to have heard: usually the first is enough."""

STAMP_MARGIN = timedelta(seconds=3)
"""What the service's clock, told in whole seconds, and the way to it can add to the start of a refresh."""

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
@bp.durable_client_input(client_name="client")
async def post_refresh(order: Json, client: df.DurableOrchestrationClient) -> Json:
    """Starts the refresh, if the queue permits it to this life of the run and somebody still wants it.

    `order`: workspace_id, dataset_id, run, generation, token, permit, scope, before. The engine may run this twice,
    later or at the same moment, so each execution asks the queue for the permit, and only one gets it.

    Answers `accepted` with refresh_id; `appeared` with refresh_id (a refresh as good as ours is new since `before`,
    nothing was posted); `blocked` (another kind of refresh is new); `busy` (refused, another one is running); `lost`
    (nobody knows whether it was accepted, or a twin of this execution has the permit); `stale` (the queue does not
    permit it); `unwanted` with the gone requests; or see `failed`: nothing was accepted.
    """
    run = (await read_queue(client, order["dataset_id"])).holder_of(order)
    if run is None:
        return {"kind": "stale"}
    members = [member.id for member in run.members]
    if await first_alive(client, members) is None:
        return {"kind": "unwanted", "gone": members}
    holder = await _take_permit(client, order, attempt := secrets.token_hex(4))
    if holder is None:
        return {"kind": "stale"}
    if holder.attempt != attempt:
        since = adoption.service_clock(order["before"], holder.attempt_at or "")
        return {"kind": "lost", "error": "another execution set out to start it", "since": since, "until": None}
    return await asyncio.to_thread(_post, order)


async def _take_permit(client: df.DurableOrchestrationClient, order: Json, attempt: str) -> Run | None:
    """The run with the holder of its permit; None if that is not known in time, or the queue does not permit it."""
    identity = {key: order[key] for key in ("run", "generation", "token", "permit")}
    queue = df.EntityId("dataset_queue", order["dataset_id"])
    await client.signal_entity(queue, "take_permit", {**identity, "attempt": attempt, "at": instant(clock.now())})
    for pause in SIGNAL_PAUSES:
        # a signal is on its way for a moment, and nobody is told when it has arrived
        await asyncio.sleep(pause)
        run = (await read_queue(client, order["dataset_id"])).holder_of(order)
        if run is None or run.attempt is not None:
            return run
    return None


def _post(order: Json) -> Json:
    scope = order["scope"]
    try:
        model = Model.of(order)
        history = model.history()
        rows = history.rows
        found = model.adoptable(rows, order["before"], scope, lost=None)
    except PowerBiError as error:
        return failed(error, order)
    if found:
        return {"kind": "appeared", "refresh_id": found.request_id}
    if any(row.state == "running" for row in adoption.new_rows(rows, order["before"])):
        return {"kind": "blocked"}
    body = refresh_body(scope["refresh"], scope["notify_option"])
    began, sent = time.monotonic(), history.service_time or clock.now()
    try:
        started = model.client.start(model.workspace_id, model.dataset_id, body)
    except RefreshInProgress:
        return {"kind": "busy"}
    except AnswerLost as error:
        # if it was accepted, then before we gave up
        until = sent + timedelta(seconds=time.monotonic() - began) + STAMP_MARGIN
        return {**failed(error, order), "kind": "lost", "since": instant(sent), "until": instant(until)}
    except PowerBiError as error:
        return failed(error, order)
    facts = {"refreshId": started.refresh_id, "powerBiRequestId": started.power_bi_request_id}
    log.info(entry("refresh.accepted", run=order["run"], dataset=order["dataset_id"], **facts))
    return {"kind": "accepted", "refresh_id": started.refresh_id}


@bp.activity_trigger(input_name="order")
def cancel_refresh(order: Json) -> Json:
    """Asks Power BI to cancel a refresh of ours. `order`: workspace_id, dataset_id, refresh_id.

    Answers `cancelled` (it will try), `over` (already ended), or see `failed`.
    """
    try:
        model = Model.of(order)
        cancelled = model.client.cancel(model.workspace_id, model.dataset_id, order["refresh_id"])
    except PowerBiError as error:
        return failed(error, order)
    log.info(
        entry(
            "refresh.cancel_requested", dataset=order["dataset_id"], refreshId=order["refresh_id"], accepted=cancelled
        )
    )
    return {"kind": "cancelled" if cancelled else "over"}
