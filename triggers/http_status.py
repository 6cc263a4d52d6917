"""How a request is doing, and its cancellation: GET and DELETE /api/refreshes/{id}, each with a token of its own, and
GET /api/refreshes/{id}/status and POST /api/refreshes/{id}/cancel for whoever may start requests.

They are routes apart because only the host knows the function keys, and it asks for one always or never.
"""

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
from triggers.uris import base_url, request_uri, status_uri
from triggers.who import LEVEL, refusal

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
    uri = status_uri(base_url(current_settings(), req.url), instance.id, state.read_token)
    return _shown(await _report(client, instance, state), uri)


@bp.route(route="refreshes/{id}/status", methods=["GET"], auth_level=LEVEL)
@bp.durable_client_input(client_name="client")
async def http_status_by_key(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """As `http_status`, for those who may start a request: no token, and none in the answer."""
    if refused := refusal(req):
        return refused
    found = await find_request(client, req.route_params["id"])
    if found is None:
        return _unknown()
    uri = f"{request_uri(base_url(current_settings(), req.url), found[0].id)}/status"
    return _shown(await _report(client, *found), uri)


@bp.route(route="refreshes/{id}", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def http_cancel(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the request had already ended; always with its status."""
    found = await find_request(client, req.route_params["id"])
    if found is None or not same(req.params.get("token"), found[1].cancel_token):
        return _unknown()
    instance, state = found
    uri = status_uri(base_url(current_settings(), req.url), instance.id, state.read_token)
    return await _cancel(client, instance, state, uri)


@bp.route(route="refreshes/{id}/cancel", methods=["POST"], auth_level=LEVEL)
@bp.durable_client_input(client_name="client")
async def http_cancel_by_key(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """As `http_cancel`, for those who may start a request: no token, and none in the answer."""
    if refused := refusal(req):
        return refused
    found = await find_request(client, req.route_params["id"])
    if found is None:
        return _unknown()
    uri = f"{request_uri(base_url(current_settings(), req.url), found[0].id)}/status"
    return await _cancel(client, *found, uri)


async def _cancel(
    client: df.DurableOrchestrationClient, instance: Instance, state: RequestState, uri: str
) -> func.HttpResponse:
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
    return _shown(told, uri)


def _unknown() -> func.HttpResponse:
    """An unknown id and a wrong token look the same: whoever guesses learns nothing."""
    return error(404, "RequestNotFound", "There is no such request, or the token does not open it.", "id")


def _shown(told: Report, uri: str) -> func.HttpResponse:
    if told.retry_after is None:
        return answer(told.body, told.http_status)
    return answer(told.body, told.http_status, {"Location": uri, "Retry-After": str(told.retry_after)})


async def _report(client: df.DurableOrchestrationClient, instance: Instance, state: RequestState) -> Report:
    lane = await read_lane(client, state.wish.dataset_id)
    mine = lane.run_of(instance.id)
    run = await run_status(client, run_instance(mine.id, mine.generation)) if mine and mine is lane.runs[0] else {}
    return report(instance, state, lane, run, clock.now())
