"""GET and DELETE /api/refreshes/{id}: how a request is doing, and its cancellation. Each has a token of its own."""

import logging

import azure.durable_functions as df
import azure.functions as func

from entities.dataset_lane import read_lane
from refresh import clock
from refresh.history import instant
from refresh.journal import entry
from refresh.report import Instance, Report, report
from refresh.request_state import RequestState
from refresh.run_state import run_instance
from refresh.settings import current_settings
from triggers.answers import answer, error
from triggers.instances import find_request, run_status, same
from triggers.uris import base_url, status_uri

log = logging.getLogger("refresh")
bp = df.Blueprint()


@bp.route(route="refreshes/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def http_status(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 while the request goes on, 200 once its refresh has completed, 424 after any other end."""
    found = await find_request(client, req.route_params["id"])
    if found is None or not same(req.params.get("token"), found[1].read_token):
        return _unknown()
    instance, state = found
    return _shown(req, state, await _report(client, instance, state))


@bp.route(route="refreshes/{id}", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def http_cancel(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the request had already ended; always with its status."""
    found = await find_request(client, req.route_params["id"])
    if found is None or not same(req.params.get("token"), found[1].cancel_token):
        return _unknown()
    instance, state = found
    told = await _report(client, instance, state)
    if told.http_status != 202:
        return answer(told.body, 200)
    log.info(entry("cancel requested", request=instance.id, dataset=state.wish.dataset_id))
    at = instant(clock.now())
    # the lane keeps the wish, the event only makes it heard at once
    lane = df.EntityId("dataset_lane", state.wish.dataset_id)
    await client.signal_entity(lane, "ask_to_leave", {"request": instance.id, "at": at})
    try:
        await client.raise_event(instance.id, "Cancel")
    except Exception as problem:  # it ended a moment ago; the SDK raises nothing more precise
        log.info(entry("cancel not heard", request=instance.id, error=str(problem)[:200]))
    return _shown(req, state, told)


def _unknown() -> func.HttpResponse:
    """An unknown id and a wrong token look the same: whoever guesses learns nothing."""
    return error(404, "RequestNotFound", "There is no such request, or the token does not open it.", "id")


def _shown(req: func.HttpRequest, state: RequestState, told: Report) -> func.HttpResponse:
    if told.retry_after is None:
        return answer(told.body, told.http_status)
    uri = status_uri(base_url(current_settings(), req.url), told.body["id"], state.read_token)
    return answer(told.body, told.http_status, {"Location": uri, "Retry-After": str(told.retry_after)})


async def _report(client: df.DurableOrchestrationClient, instance: Instance, state: RequestState) -> Report:
    lane = await read_lane(client, state.wish.dataset_id)
    mine = lane.run_of(instance.id)
    run = await run_status(client, run_instance(mine.id, mine.generation)) if mine and mine is lane.runs[0] else {}
    return report(instance, state, lane, run, clock.now())
