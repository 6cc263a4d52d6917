"""Activities that change something in Power BI: start a refresh, cancel one. Each is safe to run twice."""

import asyncio
import secrets

import azure.durable_functions as df

from activities.instances import first_alive
from activities.model import Json, Model, failed, log
from entities.dataset_lane import read_lane
from power_bi.errors import AnswerLost, PowerBiError, RefreshInProgress
from refresh import adoption, clock
from refresh.history import instant
from refresh.journal import entry
from refresh.options import refresh_body

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
@bp.durable_client_input(client_name="client")
async def post_refresh(order: Json, client: df.DurableOrchestrationClient) -> Json:
    """Starts the refresh, if the lane permits it to this life of the run and somebody still wants it.

    `order`: workspace_id, dataset_id, run, generation, token, ticket, scope, before. The engine may run this twice,
    later or at the same moment, so it trusts nothing but the lane and the history.

    Answers `accepted` with refresh_id; `appeared` with refresh_id (a refresh as good as ours is new since `before`,
    nothing was posted); `blocked` (another kind of refresh is new); `busy` (refused, another one is running); `lost`
    (nobody knows whether it was accepted); `stale` (the lane does not permit it); `unwanted` with the gone requests;
    or see `failed`: nothing was accepted.
    """
    run = (await read_lane(client, order["dataset_id"])).permits(order)
    if run is None:
        return {"kind": "stale"}
    members = [member.id for member in run.members]
    if await first_alive(client, members) is None:
        return {"kind": "unwanted", "gone": members}
    attempt = secrets.token_hex(4)
    identity = {key: order[key] for key in ("run", "generation", "token", "ticket")}
    lane = df.EntityId("dataset_lane", order["dataset_id"])
    await client.signal_entity(lane, "try_post", {**identity, "attempt": attempt, "at": instant(clock.now())})
    answer = await asyncio.to_thread(_post, order, repeated=bool(run.attempts))
    if answer["kind"] in ("blocked", "busy"):
        now = (await read_lane(client, order["dataset_id"])).permits(order)
        if now is not None and set(now.attempts) - {attempt}:
            # the refresh in our way may be our twin's, whose answer the engine will drop
            return {"kind": "lost", "error": "the engine ran the POST twice"}
    return answer


def _post(order: Json, *, repeated: bool) -> Json:
    """`repeated`: an earlier execution set out to POST, so what is new since then may be ours."""
    scope = order["scope"]
    try:
        model = Model.of(order)
        rows = model.history().rows
        found = model.adoptable(rows, order["before"], scope, lost=repeated)
    except PowerBiError as error:
        return failed(error, order)
    if found:
        return {"kind": "appeared", "refresh_id": found.request_id}
    if any(row.state == "running" for row in adoption.new_rows(rows, order["before"])):
        return {"kind": "blocked"}
    body = refresh_body(scope["refresh"], scope["notify_option"])
    try:
        started = model.client.start(model.workspace_id, model.dataset_id, body)
    except RefreshInProgress:
        return {"kind": "busy"}
    except AnswerLost as error:
        return {**failed(error, order), "kind": "lost"}
    except PowerBiError as error:
        return failed(error, order)
    facts = {"refreshId": started.refresh_id, "powerBiRequestId": started.power_bi_request_id}
    log.info(entry("accepted by power bi", run=order["run"], dataset=order["dataset_id"], **facts))
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
    log.info(entry("cancel asked", dataset=order["dataset_id"], refreshId=order["refresh_id"], accepted=cancelled))
    return {"kind": "cancelled" if cancelled else "over"}
