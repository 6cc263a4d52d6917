"""POST /api/refreshes: checks a wish, starts its orchestration, and says where its status is."""

import logging
import secrets
from typing import Any
from uuid import UUID

import azure.durable_functions as df
import azure.functions as func

from refresh import clock
from refresh.history.rows import instant
from refresh.reporting.events import entry
from refresh.reporting.stored import Found
from refresh.request.reply import Answering, parse_answering
from refresh.request.spec import BadRequestError, Wish, parse_wish
from refresh.request.state import RequestState
from refresh.settings import current_settings
from triggers import idempotency
from triggers.answers import answer, error
from triggers.auth import LEVEL, principal_of, refusal
from triggers.callbacks import add_callback
from triggers.instances import find_request
from triggers.reports import report_of, shown
from triggers.uris import base_url, management_uris, status_uri
from triggers.waiting import verdict_within

log = logging.getLogger("refresh")
bp = df.Blueprint()


class NotStartedError(Exception):
    """The engine did not take the request."""


@bp.route(route="refreshes", methods=["POST"], auth_level=LEVEL)
@bp.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 with `id`, `status`, `statusUri`, `cancelUri`, `statusQueryGetUri`; 400 if the wish cannot be served.

    With waitSeconds the whole status at once, 200 or 424, if the request ends in time. With callBackUri 200 and no
    Location. Under an idempotency key that was used before: the same for the request that goes on, 200 or 424 for one
    that has ended, each with `repeated`; 409 if that was another wish.
    """
    if refused := refusal(req):
        return refused
    settings = current_settings()
    try:
        wish = parse_wish(req.get_body(), settings, req.headers.get("Idempotency-Key"))
        answering = parse_answering(req.get_body(), settings)
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    try:
        if wish.idempotency_key:
            return await _start_once(req, client, wish, answering)
        # beginning with the dataset, so that the requests of a dataset can be listed
        request_id = f"{UUID(wish.dataset_id).hex}-{secrets.token_hex(8)}"
        state = _new_state(wish)
        await _start(req, client, request_id, state, answering)
    except NotStartedError:
        return error(503, "NotStarted", "The request could not be stored; nothing has been started. Send it again.")
    return await _accepted(req, client, answering, (request_id, state))


async def _start_once(
    req: func.HttpRequest, client: df.DurableOrchestrationClient, wish: Wish, answering: Answering
) -> func.HttpResponse:
    """Starts the request of an idempotency key, unless it was: then tells how that one is doing."""
    attempt, found = await idempotency.last_attempt(client, wish.dataset_id, wish.idempotency_key)
    if found:
        said = await _repeated(req, client, wish, answering, found)
        if said:
            return said
    request_id = idempotency.request_id(wish.dataset_id, wish.idempotency_key, attempt + 1)
    mine = _new_state(wish)
    state = await idempotency.reserve(client, request_id, mine)
    if state is None:
        log.error(
            entry("request.not_started", request=request_id, dataset=wish.dataset_id, error="the queue is silent")
        )
        raise NotStartedError
    # somebody else may have started it meanwhile, and it may even have ended: it must not live a second time
    begun = await find_request(client, request_id)
    state = begun[1] if begun else state
    if wish.differs_from(state.wish):
        return _conflict(wish, state.wish)
    if begun:
        await _add_callback(client, request_id, answering)
    else:
        await _start(req, client, request_id, state, answering)
    return await _accepted(req, client, answering, (request_id, state), repeated=state.token != mine.token)


async def _repeated(
    req: func.HttpRequest, client: df.DurableOrchestrationClient, wish: Wish, answering: Answering, found: Found
) -> func.HttpResponse | None:
    """What a caller is told who comes again; None if he may have a new attempt."""
    instance, state = found
    if wish.differs_from(state.wish):
        return _conflict(wish, state.wish)
    told = await report_of(client, instance, state)
    if told.http_status == 202:
        await _add_callback(client, instance.id, answering)
        status = told.body["status"]
        return await _accepted(req, client, answering, (instance.id, state), repeated=True, status=status)
    if idempotency.may_start_again(told):
        return None
    await _add_callback(client, instance.id, answering)
    uris = _uris(req, client, instance.id, state)
    # for the next step of a caller that looks at the status whatever the start said; not in an error, which people see
    to_look_at = {name: uris[name] for name in ("statusUri", "statusQueryGetUri")} if told.http_status == 200 else {}
    return shown(req, state, told, {"repeated": True, **to_look_at})


def _conflict(wish: Wish, other: Wish) -> func.HttpResponse:
    names = ", ".join(wish.differs_from(other))
    return error(
        409,
        "IdempotencyKeyInUse",
        f"Another request of this model has this idempotency key, with another {names}. Use a key of its own for each.",
        "idempotencyKey",
    )


def _new_state(wish: Wish) -> RequestState:
    settings = current_settings()
    return RequestState(
        wish=wish,
        token=secrets.token_hex(8),
        read_token=secrets.token_urlsafe(24),
        cancel_token=secrets.token_urlsafe(24),
        requested_at=instant(clock.now()),
        recheck_seconds=settings.recheck_seconds,
        limits=settings.limits,
    )


async def _start(
    req: func.HttpRequest,
    client: df.DurableOrchestrationClient,
    request_id: str,
    state: RequestState,
    answering: Answering,
) -> None:
    # first: a callback without a request is dropped after a while, a request without its callback is waited for
    await _add_callback(client, request_id, answering)
    wish = state.wish
    about: dict[str, Any] = {"request": request_id, "dataset": wish.dataset_id, "caller": wish.caller}
    try:
        await client.start_new("refresh_request", request_id, state.to_json())
    except Exception as problem:  # the SDK raises nothing more precise
        if wish.idempotency_key and await find_request(client, request_id):
            return  # somebody with the same key was quicker
        log.error(entry("request.not_started", **about, error=str(problem)[:300]))
        raise NotStartedError from None
    scope = {"workspace": wish.scope.workspace_id, "enhanced": wish.scope.enhanced, "share": wish.share}
    log.info(
        entry("request.accepted", **about, **scope, timeoutMinutes=wish.timeout_minutes, principal=principal_of(req))
    )


async def _add_callback(client: df.DurableOrchestrationClient, request_id: str, answering: Answering) -> None:
    if answering.call_back_uri is None:
        return
    try:
        await add_callback(client, request_id, answering.call_back_uri)
    except Exception as problem:  # likewise
        log.error(entry("request.not_started", request=request_id, error=str(problem)[:300]))
        raise NotStartedError from None


async def _accepted(
    req: func.HttpRequest,
    client: df.DurableOrchestrationClient,
    answering: Answering,
    request: tuple[str, RequestState],
    *,
    repeated: bool = False,
    status: str = "Queued",
) -> func.HttpResponse:
    """The answer for a request (id and state) that goes on; its verdict, if that comes within waitSeconds."""
    request_id, state = request
    again = {"repeated": True} if repeated else {}
    told = await verdict_within(client, request_id, answering.wait_seconds)
    if told:
        return shown(req, state, told, again)
    uris = _uris(req, client, request_id, state)
    body = {"id": request_id, "status": status, **again, **uris}
    if answering.call_back_uri:
        # a 202 with Location would be polled by some of those that wait to be called back
        return answer(body, 200)
    settings = current_settings()
    headers = {"Location": uris["statusUri"], "Retry-After": str(max(1, round(settings.poll_min_seconds)))}
    return answer(body, 202, headers)


def _uris(
    req: func.HttpRequest, client: df.DurableOrchestrationClient, request_id: str, state: RequestState
) -> dict[str, str]:
    settings = current_settings()
    base = base_url(settings, req.url)
    uri = status_uri(base, request_id, state.read_token)
    uris = {"statusUri": uri, "cancelUri": status_uri(base, request_id, state.cancel_token), "statusQueryGetUri": uri}
    if settings.expose_management_uris:
        uris |= management_uris(client.create_http_management_payload(request_id), base)
    return uris
